package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report is what a scenario measured.
type report struct {
	Scenario  string     `json:"scenario"`
	Server    string     `json:"server"`
	Runs      int        `json:"runs"`
	Steps     int        `json:"steps"`
	FirstCall percentile `json:"event_to_first_call"`
	StepGap   percentile `json:"step_gap"`
	// IdleCPUPercent is of one core.
	IdleCPUPercent *float64 `json:"idle_cpu_percent,omitempty"`

	firstCall []time.Duration
	stepGap   []time.Duration
}

// percentile sums up durations, in milliseconds.
type percentile struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

func (r report) summarise() report {
	r.FirstCall, r.StepGap = summary(r.firstCall), summary(r.stepGap)
	return r
}

func summary(durations []time.Duration) percentile {
	if len(durations) == 0 {
		return percentile{}
	}
	sorted := slices.Sorted(slices.Values(durations))
	at := func(share float64) float64 {
		i := min(int(share*float64(len(sorted))), len(sorted)-1)
		return float64(sorted[i].Microseconds()) / 1000
	}
	return percentile{Count: len(sorted), P50: at(0.50), P95: at(0.95), P99: at(0.99), Max: at(1)}
}

func (r report) print(out io.Writer) error {
	fmt.Fprintf(out, "%s: %d runs of %d steps at %s\n\n", r.Scenario, r.Runs, r.Steps, r.Server)
	fmt.Fprintf(out, "%-22s %8s %8s %8s %8s %8s\n", "ms", "count", "p50", "p95", "p99", "max")
	for _, row := range []struct {
		name string
		p    percentile
	}{{"event to first call", r.FirstCall}, {"gap between steps", r.StepGap}} {
		fmt.Fprintf(out, "%-22s %8d %8.2f %8.2f %8.2f %8.2f\n", row.name, row.p.Count, row.p.P50, row.p.P95, row.p.P99, row.p.Max)
	}
	if r.IdleCPUPercent != nil {
		fmt.Fprintf(out, "\nidle CPU over %s: %.2f %% of a core\n", idleWatch, *r.IdleCPUPercent)
	}
	return nil
}

// ticksPerSecond is the unit of /proc/PID/stat: USER_HZ, which is 100 on every Linux that Go runs on.
const ticksPerSecond = 100

// cpuTime is what the processes have used so far.
func cpuTime(pids []int) (time.Duration, error) {
	var ticks int
	for _, pid := range pids {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			return 0, fmt.Errorf("read CPU time: %w", err)
		}
		// The command's name, in parentheses, may hold spaces; user and system time are the 12th and 13th after it.
		_, rest, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest)
		for _, field := range fields[11:13] {
			n, err := strconv.Atoi(field)
			if err != nil {
				return 0, fmt.Errorf("read CPU time: %w", err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}
