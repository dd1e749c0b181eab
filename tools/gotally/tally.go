package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is one line of `go test -json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // instead of Package, in lines about a build
	Test       string // empty: the line is about the package
	Output     string
}

// testID names a test, or with an empty test a package.
type testID struct{ pkg, test string }

func (id testID) String() string { return strings.TrimSpace(id.pkg + " " + id.test) }

func compareIDs(a, b testID) int { return strings.Compare(a.String(), b.String()) }

// outcome is how a test ended. Of several the greatest counts: a test that failed once failed.
type outcome int

const (
	passed outcome = iota + 1
	skipped
	failed
)

// tally is what reports said so far.
type tally struct {
	outcomes map[testID]outcome
	running  map[testID]bool
	output   map[testID][]string // of what has not ended
	late     map[string]string   // by package: what came after a test had passed, as when the process crashes
}

func newTally() *tally {
	return &tally{
		outcomes: map[testID]outcome{}, running: map[testID]bool{},
		output: map[testID][]string{}, late: map[string]string{},
	}
}

// read adds a report, and shows packages and failures as they come. A line that is no event is shown as it is.
func (t *tally) read(report io.Reader, out io.Writer) error {
	lines := bufio.NewReader(report) // not a Scanner: a test may print a line of any length
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var e event
			shown := string(line)
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				shown = t.add(e)
			}
			if _, err := io.WriteString(out, shown); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return t.giveUp(out)
		}
		if err != nil {
			return err
		}
	}
}

// add takes an event into account and returns what to show of it.
func (t *tally) add(e event) string {
	id := testID{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		return e.Output
	case "run":
		t.running[id] = true
	case "output":
		t.output[id] = append(t.output[id], e.Output)
	case "pass":
		return t.end(id, passed)
	case "skip":
		return t.end(id, skipped)
	case "fail":
		return t.end(id, failed)
	}
	return ""
}

// end notes how a test or package ended and returns what to show: of a failure what it printed, of a package that
// passed its one line.
func (t *tally) end(id testID, how outcome) string {
	output := t.take(id)
	switch {
	case id.test == "" && how == failed:
		return t.failPackage(id.pkg) + t.late[id.pkg] + output
	case id.test == "":
		return okLine(output)
	}
	t.outcomes[id] = max(t.outcomes[id], how)
	if how == failed {
		return output
	}
	t.late[id.pkg] += afterVerdict(output)
	return ""
}

// take returns what a test or package printed, and forgets it.
func (t *tally) take(id testID) string {
	isProgress := func(line string) bool { return strings.HasPrefix(line, "=== ") }
	output := strings.Join(slices.DeleteFunc(t.output[id], isProgress), "")
	delete(t.output, id)
	delete(t.running, id)
	return output
}

// failPackage ends the tests that the package left running and returns what they printed. If no test says why it
// failed, as when it did not build, or leaked, the package counts itself.
func (t *tally) failPackage(pkg string) string {
	var output strings.Builder
	for _, id := range t.unfinished() {
		if id.pkg == pkg {
			t.outcomes[id] = failed
			output.WriteString(t.take(id))
		}
	}
	for id, how := range t.outcomes {
		if id.pkg == pkg && how == failed {
			return output.String()
		}
	}
	t.outcomes[testID{pkg: pkg}] = failed
	return output.String()
}

// unfinished lists what began and did not end, in order.
func (t *tally) unfinished() []testID {
	return slices.SortedFunc(maps.Keys(t.running), compareIDs)
}

// giveUp ends what a report that was cut off left running.
func (t *tally) giveUp(out io.Writer) error {
	for _, id := range t.unfinished() {
		if _, err := io.WriteString(out, t.end(id, failed)); err != nil {
			return err
		}
	}
	return nil
}

// errNotGood: something failed, nothing passed, or what must not be skipped was. The output says which.
var errNotGood = errors.New("not good")

// conclude shows what was skipped and failed, and last of all the count. It returns errNotGood where that is due.
func (t *tally) conclude(out io.Writer, forbidSkips bool) error {
	var text strings.Builder
	count := map[outcome]int{}
	for _, id := range slices.SortedFunc(maps.Keys(t.outcomes), compareIDs) {
		how := t.outcomes[id]
		count[how]++
		if word, ok := map[outcome]string{skipped: "skipped", failed: "failed"}[how]; ok {
			fmt.Fprintf(&text, "%s: %s\n", word, id)
		}
	}
	none, mustNotSkip := count[passed]+count[failed] == 0, forbidSkips && count[skipped] > 0
	if none {
		fmt.Fprintln(&text, "no test ran")
	}
	if mustNotSkip {
		fmt.Fprintln(&text, "a test was skipped, and none may be")
	}
	fmt.Fprintf(&text, "%d passed, %d failed\n", count[passed], count[failed])
	if _, err := io.WriteString(out, text.String()); err != nil {
		return err
	}
	if none || mustNotSkip || count[failed] > 0 {
		return errNotGood
	}
	return nil
}

// okLine is the line of a package that passed; one without tests needs none.
func okLine(output string) string {
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "ok") {
			return line
		}
	}
	return ""
}

// afterVerdict is what a test that passed or was skipped printed after saying so.
func afterVerdict(output string) string {
	for _, verdict := range []string{"--- PASS: ", "--- SKIP: "} {
		if at := strings.LastIndex(output, verdict); at >= 0 {
			_, after, _ := strings.Cut(output[at:], "\n")
			return after
		}
	}
	return ""
}
