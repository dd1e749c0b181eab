package scenario

import (
	"slices"
	"time"

	"github.com/stepwell/stepwell/tools/load/app"
	"github.com/stepwell/stepwell/tools/load/meter"
)

// Latency sums up how long something took, in milliseconds.
type Latency struct {
	Name  string  `json:"name"`
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// latency sums up. There is none of what never happened.
func latency(name string, durations []time.Duration) []Latency {
	if len(durations) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(durations))
	at := func(share float64) float64 {
		i := min(int(share*float64(len(sorted))), len(sorted)-1)
		return sorted[i].Seconds() * 1000
	}
	return []Latency{{Name: name, Count: len(sorted), P50: at(0.50), P95: at(0.95), P99: at(0.99), Max: at(1)}}
}

// summary is what the runs of a batch show together.
type summary struct {
	latencies []Latency
	// seconds are from the first run's event to the last run's end.
	seconds  float64
	repeated int
}

// summarize sums up runs that have ended.
func summarize(runs []app.Run) summary {
	var firstCall, ended, gaps []time.Duration
	var s summary
	first, last := runs[0].DueAt, runs[0].Ended
	for _, run := range runs {
		firstCall = append(firstCall, run.FirstCall.Sub(run.DueAt))
		ended = append(ended, run.Ended.Sub(run.DueAt))
		gaps = append(gaps, run.Gaps...)
		s.repeated += run.Repeated
		if run.DueAt.Before(first) {
			first = run.DueAt
		}
		if run.Ended.After(last) {
			last = run.Ended
		}
	}
	s.latencies = slices.Concat(latency("event to first call", firstCall), latency("gap between steps", gaps),
		latency("event to end", ended))
	s.seconds = last.Sub(first).Seconds()
	return s
}

// throughput is how many runs ended in a second.
func (s summary) throughput(runs int) meter.Number {
	return number("runs per second", float64(runs)/s.seconds)
}

// unneeded is how many calls were repetitions.
func (s summary) unneeded() meter.Number {
	return number("calls that were not needed", float64(s.repeated))
}
