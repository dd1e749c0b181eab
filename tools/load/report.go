package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/stepwell/stepwell/tools/load/meter"
	"github.com/stepwell/stepwell/tools/load/scenario"
)

// document is the report as JSON.
type document struct {
	// Results are all that was measured, server by server in the order of measuring.
	Results []scenario.Result `json:"results"`
	// Medians are over the rounds, server by server.
	Medians    []scenario.Result `json:"medians"`
	Comparison []comparison      `json:"comparison,omitempty"`
}

// comparison is a case that was run on both servers.
type comparison struct {
	Case string `json:"case"`
	Rows []row  `json:"rows"`
}

// row is one number of a case: the medians of the first and of the second server.
type row struct {
	Name   string  `json:"name"`
	First  float64 `json:"first"`
	Second float64 `json:"second"`
	// Ratio is the second by the first, if that is not 0.
	Ratio *float64 `json:"ratio,omitempty"`
}

// show prints what was measured, by server.
func show(out io.Writer, o options, results [][]scenario.Result) error {
	var d document
	var byServer [][]scenario.Result
	for _, measured := range results {
		d.Results = append(d.Results, measured...)
		byServer = append(byServer, medians(measured))
		d.Medians = append(d.Medians, medians(measured)...)
	}
	if len(byServer) == serversMax {
		d.Comparison = compare(byServer[0], byServer[1])
	}
	if o.asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(d)
	}
	if len(byServer) < serversMax {
		printAll(out, d.Medians)
		return nil
	}
	fmt.Fprintf(out, "first: %s, second: %s\n", o.servers[0].app.Server, o.servers[1].app.Server)
	for _, c := range d.Comparison {
		printComparison(out, c)
	}
	return nil
}

// medians makes one result of the rounds of each case.
func medians(results []scenario.Result) []scenario.Result {
	var cases []scenario.Result
	for _, result := range results {
		if slices.ContainsFunc(cases, func(c scenario.Result) bool { return c.Case == result.Case }) {
			continue
		}
		var rounds []scenario.Result
		for _, other := range results {
			if other.Case == result.Case {
				rounds = append(rounds, other)
			}
		}
		cases = append(cases, middle(rounds))
	}
	return cases
}

// middle is the first round with the median of all rounds in place of each of its values.
func middle(rounds []scenario.Result) scenario.Result {
	m := rounds[0]
	m.Seconds = median(rounds, func(r scenario.Result) (float64, bool) { return r.Seconds, true })
	m.Numbers, m.Latencies = slices.Clone(m.Numbers), slices.Clone(m.Latencies)
	for i, number := range m.Numbers {
		m.Numbers[i].Value = median(rounds, func(r scenario.Result) (float64, bool) {
			at := slices.IndexFunc(r.Numbers, func(n meter.Number) bool { return n.Name == number.Name })
			if at < 0 {
				return 0, false
			}
			return r.Numbers[at].Value, true
		})
	}
	for i := range m.Latencies {
		l := &m.Latencies[i]
		of := func(field func(scenario.Latency) float64) float64 {
			return median(rounds, func(r scenario.Result) (float64, bool) {
				at := slices.IndexFunc(r.Latencies, func(other scenario.Latency) bool { return other.Name == l.Name })
				if at < 0 {
					return 0, false
				}
				return field(r.Latencies[at]), true
			})
		}
		l.P50 = of(func(l scenario.Latency) float64 { return l.P50 })
		l.P95 = of(func(l scenario.Latency) float64 { return l.P95 })
		l.P99 = of(func(l scenario.Latency) float64 { return l.P99 })
		l.Max = of(func(l scenario.Latency) float64 { return l.Max })
	}
	return m
}

// median is that of the rounds which have the value.
func median(rounds []scenario.Result, value func(scenario.Result) (float64, bool)) float64 {
	var values []float64
	for _, round := range rounds {
		if v, found := value(round); found {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	half := len(values) / 2
	if len(values)%2 == 1 {
		return values[half]
	}
	return (values[half-1] + values[half]) / 2
}

// compare puts the cases that both servers did side by side.
func compare(first, second []scenario.Result) []comparison {
	var all []comparison
	for _, a := range first {
		at := slices.IndexFunc(second, func(b scenario.Result) bool { return b.Case == a.Case })
		if at < 0 {
			continue // the second server failed
		}
		c := comparison{Case: a.Case}
		others := flat(second[at])
		for _, number := range flat(a) {
			i := slices.IndexFunc(others, func(other meter.Number) bool { return other.Name == number.Name })
			if i < 0 {
				continue // the second server has no such process or counter
			}
			r := row{Name: number.Name, First: number.Value, Second: others[i].Value}
			if r.First != 0 {
				ratio := r.Second / r.First
				r.Ratio = &ratio
			}
			c.Rows = append(c.Rows, r)
		}
		all = append(all, c)
	}
	return all
}

// flat is a result as numbers only.
func flat(r scenario.Result) []meter.Number {
	numbers := slices.Clone(r.Numbers)
	for _, l := range r.Latencies {
		numbers = append(numbers, meter.Number{Name: l.Name + ", p50 ms", Value: l.P50},
			meter.Number{Name: l.Name + ", p95 ms", Value: l.P95}, meter.Number{Name: l.Name + ", p99 ms", Value: l.P99})
	}
	return numbers
}

// nameWidth is how wide names are printed.
const nameWidth = 44

func printResult(out io.Writer, r scenario.Result) {
	fmt.Fprintf(out, "\n%s: %d %s in %.2f s, at %s\n\n", r.Case, r.Count, r.Unit, r.Seconds, r.Server)
	for _, number := range r.Numbers {
		fmt.Fprintf(out, "  %-*s %12s\n", nameWidth, number.Name, figure(number.Value))
	}
	if len(r.Latencies) == 0 {
		return
	}
	fmt.Fprintf(out, "\n  %-22s %8s %9s %9s %9s %9s\n", "ms", "count", "p50", "p95", "p99", "max")
	for _, l := range r.Latencies {
		fmt.Fprintf(out, "  %-22s %8d %9.2f %9.2f %9.2f %9.2f\n", l.Name, l.Count, l.P50, l.P95, l.P99, l.Max)
	}
}

func printComparison(out io.Writer, c comparison) {
	fmt.Fprintf(out, "\n%s\n\n  %-*s %12s %12s %8s\n", c.Case, nameWidth, "", "first", "second", "ratio")
	for _, r := range c.Rows {
		ratio := "-"
		if r.Ratio != nil {
			ratio = strconv.FormatFloat(*r.Ratio, 'f', 2, 64)
		}
		fmt.Fprintf(out, "  %-*s %12s %12s %8s\n", nameWidth, r.Name, figure(r.First), figure(r.Second), ratio)
	}
}

// figure shows large values without and small ones with decimals.
func figure(value float64) string {
	switch {
	case value == float64(int64(value)), value >= 1000, value <= -1000:
		return strconv.FormatFloat(value, 'f', 0, 64)
	case value >= 10, value <= -10:
		return strconv.FormatFloat(value, 'f', 1, 64)
	default:
		return strconv.FormatFloat(value, 'f', 3, 64)
	}
}
