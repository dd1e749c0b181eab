package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/stepwell/stepwell/tools/crash/verdict"
)

// violationsShown bounds the violations that are shown of a trial: a defect breaks many promises at once.
const violationsShown = 20

// show prints what came of a trial.
func (r result) show(out io.Writer, number int) {
	outcome := "ok"
	if len(r.violations) > 0 {
		outcome = fmt.Sprintf("%d VIOLATIONS", len(r.violations))
	}
	fmt.Fprintf(out, "trial %d, seed %d: %s; %d of %d events acked, %d runs, %d executions, %d of them repeated; %.1f s; %s\n",
		number, r.seed, list(r.faults), r.acked, r.sent, r.runs, r.executions, r.repeated, r.took.Seconds(), outcome)
	for _, v := range r.violations[:min(len(r.violations), violationsShown)] {
		fmt.Fprintf(out, "  %s\n", v)
	}
	if more := len(r.violations) - violationsShown; more > 0 {
		fmt.Fprintf(out, "  and %d more\n", more)
	}
}

func list(counts map[string]int) string {
	parts := make([]string, 0, len(counts))
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
	}
	return strings.Join(parts, ", ")
}

// summarize prints the table of all trials.
func summarize(out io.Writer, results []result, o options) {
	faults, broken := map[string]int{}, map[verdict.Promise]int{}
	sum, violations := result{}, 0
	var took time.Duration
	for _, r := range results {
		for name, count := range r.faults {
			faults[name] += count
		}
		for _, v := range r.violations {
			broken[v.Promise]++
			violations++
		}
		sum.sent, sum.acked, sum.runs = sum.sent+r.sent, sum.acked+r.acked, sum.runs+r.runs
		sum.awaited, sum.timedOut = sum.awaited+r.awaited, sum.timedOut+r.timedOut
		sum.executions, sum.repeated = sum.executions+r.executions, sum.repeated+r.repeated
		took += r.took
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, value any) { fmt.Fprintf(table, "%v\t  %s\t\n", value, name) }
	fmt.Fprintln(out)
	row(fmt.Sprintf("trials, in %s", took.Round(time.Second)), len(results))
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		row(name, faults[name])
	}
	row("events published", sum.sent)
	row("events acked", sum.acked)
	row("runs", sum.runs)
	row("executions of steps", sum.executions)
	row("executions repeated", sum.repeated)
	row("waits ended by an event", sum.awaited)
	row("waits that timed out", sum.timedOut)
	for _, promise := range verdict.Promises() {
		row(string(promise), broken[promise])
	}
	_ = table.Flush() // to a person: there is nobody to tell
	for _, r := range results {
		if len(r.violations) > 0 {
			fmt.Fprintf(out, "\nto do it again: crash --seed %d --trials 1 --events %d --faults %d\n", r.seed, o.events, o.faults)
		}
	}
}
