package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/stepwell/stepwell/tools/load/meter"
	"github.com/stepwell/stepwell/tools/load/scenario"
)

// printAll prints results one after the other, and those that belong to the same table side by side.
func printAll(out io.Writer, results []scenario.Result) {
	for i, result := range results {
		together := []scenario.Result{result}
		if result.Table != "" {
			together = slices.DeleteFunc(slices.Clone(results), func(r scenario.Result) bool { return r.Table != result.Table })
		}
		switch {
		case len(together) == 1:
			printResult(out, result)
		case together[0].Case == results[i].Case:
			printTable(out, together)
		}
	}
}

// printTable prints results as the columns of a table, in Markdown.
func printTable(out io.Writer, results []scenario.Result) {
	fmt.Fprintf(out, "\n%s, at %s\n\n| |", results[0].Table, results[0].Server)
	var names []string
	columns := make([]map[string]float64, len(results))
	for i, result := range results {
		fmt.Fprintf(out, " %s |", result.Column)
		columns[i] = map[string]float64{}
		numbers := append(flat(result), meter.Number{Name: result.Unit, Value: float64(result.Count)})
		for _, number := range numbers {
			columns[i][number.Name] = number.Value
			if !slices.Contains(names, number.Name) {
				names = append(names, number.Name)
			}
		}
	}
	fmt.Fprint(out, "\n|---|")
	for range results {
		fmt.Fprint(out, "---:|")
	}
	fmt.Fprintln(out)
	for _, name := range names {
		fmt.Fprintf(out, "| %s |", name)
		for _, column := range columns {
			shown := "–"
			if value, measured := column[name]; measured {
				shown = figure(value)
			}
			fmt.Fprintf(out, " %s |", shown)
		}
		fmt.Fprintln(out)
	}
}
