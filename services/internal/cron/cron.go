// Package cron reads the cron expressions of triggers, and says at which instants they fire.
//
// It must not read a clock: whoever asks says when it is.
package cron

import (
	"strings"
	"time"
	_ "time/tzdata" // zones must be there on machines that have no database of them

	"github.com/robfig/cron/v3"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Schedule is a parsed expression. It fires at every whole minute at which a clock in its zone shows a time that fits: so
// not at all at a time that the clock passes over when it goes forward, and twice at one that it shows twice.
type Schedule struct{ fields *cron.SpecSchedule }

// Parse reads five fields (minute, hour, day of month, month, day of week) with an optional prefix `TZ=<zone> ` or
// `CRON_TZ=<zone> `; without it the zone is UTC. Descriptors such as @daily are refused. Errors: stepwell.ErrInvalid.
func Parse(expression string) (Schedule, error) {
	if zone, fields, prefixed := zoneOf(expression); prefixed && (fields == "" || zone == "" || zone == "Local") {
		return Schedule{}, stepwell.Invalidf("cron %q: after TZ= there must be the name of a zone, a space and the fields, "+
			"as in `TZ=Europe/Paris 0 9 * * *`", expression)
	}
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	parsed, err := parser.Parse(expression)
	if err != nil {
		return Schedule{}, stepwell.Invalidf("cron %q: %v; write minute, hour, day, month and weekday, as in `0 9 * * 1-5`",
			expression, err)
	}
	fields, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return Schedule{}, stepwell.Invalidf("cron %q has no fields", expression)
	}
	if fields.Location == time.Local {
		fields.Location = time.UTC
	}
	return Schedule{fields}, nil
}

// zoneOf splits the prefix that names a zone from the fields.
func zoneOf(expression string) (zone, fields string, prefixed bool) {
	rest, prefixed := strings.CutPrefix(expression, "TZ=")
	if !prefixed {
		rest, prefixed = strings.CutPrefix(expression, "CRON_TZ=")
	}
	zone, fields, _ = strings.Cut(rest, " ")
	return zone, strings.TrimSpace(fields), prefixed
}

// yearsMax bounds how far Next looks: between two 29ths of February there are at most eight years.
const yearsMax = 9

// Next is the first instant after a given one; the zero time if there is none within nine years.
//
// The library's own Next loses instants of days whose midnight does not exist, and of hours that begin at a half.
func (s Schedule) Next(after time.Time) time.Time {
	t := after.Truncate(time.Minute).Add(time.Minute).In(s.fields.Location)
	last := t.AddDate(yearsMax, 0, 0)
	for t.Before(last) {
		step := s.passes(t)
		if step == 0 {
			return t.UTC()
		}
		next := t.Add(step)
		// Up to where the clock is changed it runs evenly, so that nothing is passed over.
		if _, changed := t.ZoneBounds(); !changed.IsZero() && next.After(changed) {
			next = changed.Add(time.Minute - 1).Truncate(time.Minute)
		}
		t = next
	}
	return time.Time{}
}

// passes is how long it is certain that nothing fits, if the clock runs evenly; 0 if the time fits.
func (s Schedule) passes(t time.Time) time.Duration {
	hour, minute := time.Duration(t.Hour())*time.Hour, time.Duration(t.Minute())*time.Minute
	switch {
	case !has(s.fields.Month, int(t.Month())) || !s.onDay(t):
		return 24*time.Hour - hour - minute
	case !has(s.fields.Hour, t.Hour()):
		return time.Hour - minute
	case !has(s.fields.Minute, t.Minute()):
		return time.Minute
	}
	return 0
}

// star marks a field that was written as *.
const star = 63

// onDay tells whether the day fits: one of day and weekday if both are restricted.
func (s Schedule) onDay(t time.Time) bool {
	day, weekday := has(s.fields.Dom, t.Day()), has(s.fields.Dow, int(t.Weekday()))
	if has(s.fields.Dom, star) || has(s.fields.Dow, star) {
		return day && weekday
	}
	return day || weekday
}

func has(bits uint64, bit int) bool { return bits&(1<<bit) != 0 }
