package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The columns of a timeline.
const (
	nameWidthMax = 28
	barWidth     = 24
)

// row is one line of a timeline: a step, an attempt, or the function's body.
type row struct {
	name  string
	mark  string
	start time.Time
	// end is zero while it goes on.
	end  time.Time
	note string
}

// timeline draws a run: what ran when, how often it was tried, and what came of it.
func timeline(r run, now time.Time, width int) []string {
	end := r.EndedAt
	if !r.ended() {
		end = now
	}
	lines := []string{
		fmt.Sprintf("run %s  %s  %s", r.ID, r.Function, headline(r, end)),
		fmt.Sprintf("event %s  %s", r.EventName, strings.Join(r.EventIDs, " ")),
		"",
	}
	rows := rowsOf(r, now)
	nameWidth := 8
	for _, row := range rows {
		nameWidth = max(nameWidth, min(nameWidthMax, utf8.RuneCountInString(row.name)))
	}
	span := end.Sub(r.CreatedAt)
	for _, row := range rows {
		lines = append(lines, clip(row.line(r.CreatedAt, span, now, nameWidth), width))
	}
	if waiting := waitingFor(r, now); waiting != "" {
		lines = append(lines, "", waiting)
	}
	for i, note := range r.Notes {
		if i == 0 {
			lines = append(lines, "")
		}
		lines = append(lines, clip("note    "+note, width))
	}
	switch {
	case r.Error != nil:
		lines = append(lines, "", clip("error   "+r.Error.String(), width))
	case r.ended() && len(r.Output) > 0:
		lines = append(lines, "", clip("output  "+oneLine(r.Output), width))
	}
	return lines
}

func headline(r run, end time.Time) string {
	took := shortDuration(end.Sub(r.CreatedAt))
	if r.ExistingRunID != "" {
		return r.Status + ": " + r.SkipReason + ", run " + r.ExistingRunID + " was live"
	}
	if r.SkipReason != "" {
		return r.Status + ": " + r.SkipReason
	}
	if r.ended() {
		return r.Status + " in " + took
	}
	return r.Status + " for " + took
}

// rowsOf are the steps in the order in which they began, each with its failed attempts, and the failed attempts of the
// function's body.
func rowsOf(r run, now time.Time) []row {
	failed := map[string][]attempt{}
	for _, a := range r.Attempts {
		if a.Error != nil {
			failed[a.Step] = append(failed[a.Step], a)
		}
	}
	var rows []row
	for _, s := range r.Steps {
		tries := failed[s.ID]
		delete(failed, s.ID)
		rows = append(rows, attemptRows(s.Name, tries, s.Status == "Failed")...)
		if s.Status != "Failed" {
			rows = append(rows, stepRow(s, len(tries), r.ended(), now))
		}
	}
	// What is left has not got further than failing.
	for id, tries := range failed {
		name := tries[0].Name
		if id == "" {
			name = "function"
		}
		rows = append(rows, attemptRows(name, tries, false)...)
	}
	slices.SortStableFunc(rows, func(a, b row) int { return a.start.Compare(b.start) })
	return rows
}

// attemptRows are failed attempts. The last of a failed step is its end.
func attemptRows(name string, attempts []attempt, final bool) []row {
	rows := make([]row, len(attempts))
	for i, a := range attempts {
		note := fmt.Sprintf("attempt %d: %s", a.Number+1, a.Error)
		if !a.NextAt.IsZero() {
			note += ", again in " + shortDuration(a.NextAt.Sub(a.EndedAt))
		} else if final {
			note += ", given up"
		}
		rows[i] = row{name: name, mark: "✗", start: a.StartedAt, end: a.EndedAt, note: note}
	}
	return rows
}

func stepRow(s step, failures int, ended bool, now time.Time) row {
	result := row{name: s.Name, mark: "✓", start: s.StartedAt, end: s.EndedAt, note: oneLine(s.Output)}
	if result.start.IsZero() {
		result.start = s.OpenedAt
	}
	switch {
	case s.Status == "Open" && ended:
		result.mark, result.end, result.note = "-", result.start, "not finished when the run ended"
	case s.Status == "Open" && s.Kind == "sleep":
		result.mark, result.end, result.note = "z", time.Time{}, "sleeps for another "+shortDuration(s.DueAt.Sub(now))
	case s.Status == "Open":
		result.mark, result.end, result.note = "…", time.Time{}, "under way"
	case s.Kind == "sleep":
		result.note = "slept"
	case failures > 0:
		result.note = fmt.Sprintf("attempt %d: %s", failures+1, result.note)
	}
	return result
}

// waitingFor tells what a live run waits for, beside its open steps.
func waitingFor(r run, now time.Time) string {
	for _, i := range r.Open {
		wait := i.DueAt.Sub(now)
		switch {
		case i.Waiting != nil && i.Waiting.For != "turn":
			return i.Waiting.String()
		case i.Kind != "discovery":
		case wait > 0 && i.Attempt > 0:
			return fmt.Sprintf("attempt %d in %s", i.Attempt+1, shortDuration(wait))
		case wait > 0:
			return "starts in " + shortDuration(wait)
		default:
			return "calling the app …"
		}
	}
	return ""
}

func (r row) line(zero time.Time, span time.Duration, now time.Time, nameWidth int) string {
	end := r.end
	if end.IsZero() {
		end = now
	}
	return fmt.Sprintf("%8s  %s %s  %s %7s  %s",
		"+"+shortDuration(max(0, r.start.Sub(zero))), r.mark, pad(r.name, nameWidth),
		bar(r.start.Sub(zero), end.Sub(zero), span), shortDuration(max(0, end.Sub(r.start))), r.note)
}

// bar is where something lies in the run's time.
func bar(start, end, span time.Duration) string {
	if span <= 0 {
		span = 1
	}
	at := func(d time.Duration) int { return int(min(max(0, d), span) * barWidth / span) }
	from := min(at(start), barWidth-1)
	to := min(max(at(end), from+1), barWidth)
	return strings.Repeat("·", from) + strings.Repeat("█", to-from) + strings.Repeat("·", barWidth-to)
}

// pad makes text as wide as asked, cutting it if need be.
func pad(text string, width int) string {
	n := utf8.RuneCountInString(text)
	if n > width {
		return string([]rune(text)[:width-1]) + "…"
	}
	return text + strings.Repeat(" ", width-n)
}

func clip(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return pad(text, width)
}

// oneLine is JSON without line breaks.
func oneLine(raw json.RawMessage) string {
	var buf bytes.Buffer
	if json.Compact(&buf, raw) != nil {
		return string(raw)
	}
	return buf.String()
}

// shortDuration is a duration in three digits or so.
func shortDuration(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	}
	return d.Round(time.Minute).String()
}
