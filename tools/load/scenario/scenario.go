// Package scenario holds what a server is made to do while it is measured, one file for each scenario.
//
// It must not know how results are compared or shown.
package scenario

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/stepwell/stepwell/tools/load/app"
	"github.com/stepwell/stepwell/tools/load/meter"
)

// Rig is the app that works with a server, and the meter of what that costs.
type Rig struct {
	App   *app.App
	Meter *meter.Meter
	Log   *slog.Logger
}

// Result is what a case measured.
type Result struct {
	Case string `json:"case"`
	// Server is the URL of the server.
	Server string `json:"server"`
	// Count is of the unit: runs, events or seconds.
	Count     int            `json:"count"`
	Unit      string         `json:"unit"`
	Seconds   float64        `json:"seconds"`
	Numbers   []meter.Number `json:"numbers"`
	Latencies []Latency      `json:"latencies,omitempty"`
	// Table is what results have in common that are shown side by side, and Column says which is which. Most have none.
	Table  string `json:"-"`
	Column string `json:"-"`
}

// Case is one measurement. It may be run again, on any server.
type Case struct {
	Name string
	Run  func(context.Context, Rig) (Result, error)
}

// Scenario is some cases that belong together.
type Scenario struct {
	Name  string
	About string
	Cases func(Settings) []Case
}

// All are the scenarios, in the order in which they run: the last ones leave most behind.
func All() []Scenario {
	return []Scenario{
		{Name: "ingest", About: "events that start nothing, one and many a request", Cases: ingest},
		{Name: "flood", About: "as many runs as the server can take, of 0, 1 and 5 steps", Cases: flood},
		{Name: "steady", About: "a few runs a second, as fast as events come in", Cases: steady},
		{Name: "idle", About: "one run at a time; then nothing at all", Cases: idle},
		{Name: "sleeps", About: "1,000 parallel sleeps, in one run and in several", Cases: sleeps},
		{Name: "waiting", About: "many runs that sleep for long while nothing happens", Cases: waiting},
		{Name: "limits", About: "runs of which one may be worked on at a time, and others beside them", Cases: limits},
		{Name: "waits", About: "more and more runs that wait for events, some of which come", Cases: waits},
	}
}

// Settings are the sizes of the scenarios.
type Settings struct {
	// Publishers publish at the same time, Batch events in one request.
	Publishers int
	Batch      int
	// Checkpoint and Plain are the ways in which runs do their steps. At least one is set.
	Checkpoint bool
	Plain      bool
	// Timeout is how long runs may take to end once all were published.
	Timeout time.Duration
	// Watch is how long a server that does nothing is watched.
	Watch time.Duration

	IngestEvents  int
	IngestBatches []int
	FloodRuns     int
	FloodSteps    []int
	SteadyRate    int
	SteadyFor     time.Duration
	SteadySteps   int
	IdleRuns      int
	IdleSteps     int
	IdlePause     time.Duration
	SleepsCount   int
	SleepsRuns    int
	SleepsFor     time.Duration
	WaitingRuns   int
	WaitingFor    time.Duration
	LimitsRuns    int
	LimitsKeys    int
	LimitsWaiting []int
	WaitsRuns     []int
	WaitsEvents   int
	WaitsRate     int
	WaitsFor      time.Duration
}

// Defaults are sizes that a server on a small machine does within minutes.
func Defaults() Settings {
	return Settings{
		Publishers: 8, Batch: 10, Checkpoint: true, Plain: true, Timeout: 2 * time.Minute, Watch: 10 * time.Second,
		IngestEvents: 20000, IngestBatches: []int{1, 100},
		FloodRuns: 2000, FloodSteps: []int{0, 1, 5},
		SteadyRate: 20, SteadyFor: 15 * time.Second, SteadySteps: 1,
		IdleRuns: 100, IdleSteps: 5, IdlePause: 20 * time.Millisecond,
		SleepsCount: 1000, SleepsRuns: 10, SleepsFor: 2 * time.Second,
		WaitingRuns: 5000, WaitingFor: time.Hour,
		LimitsRuns: 10000, LimitsKeys: 1000, LimitsWaiting: []int{1, 10000},
		WaitsRuns: []int{1000, 10000}, WaitsEvents: 400, WaitsRate: 20, WaitsFor: 24 * time.Hour,
	}
}

// Validate names the first setting that makes no sense.
func (s Settings) Validate() error {
	for name, value := range map[string]int{
		"publishers": s.Publishers, "batch": s.Batch, "ingest-events": s.IngestEvents, "flood-runs": s.FloodRuns,
		"steady-rate": s.SteadyRate, "steady-steps": s.SteadySteps, "idle-runs": s.IdleRuns, "idle-steps": s.IdleSteps,
		"sleeps-count": s.SleepsCount, "sleeps-runs": s.SleepsRuns, "waiting-runs": s.WaitingRuns,
		"limits-runs": s.LimitsRuns, "limits-keys": s.LimitsKeys, "waits-events": s.WaitsEvents, "waits-rate": s.WaitsRate,
	} {
		if value < 1 || value > countMax {
			return fmt.Errorf("--%s is %d: use 1 to %d", name, value, countMax)
		}
	}
	for name, sizes := range map[string][]int{
		"ingest-batches": s.IngestBatches, "limits-waiting": s.LimitsWaiting, "waits-runs": s.WaitsRuns,
	} {
		for _, size := range sizes {
			if size < 1 || size > countMax {
				return fmt.Errorf("--%s has %d: use 1 to %d", name, size, countMax)
			}
		}
	}
	for _, steps := range s.FloodSteps {
		if steps < 0 || steps > stepsMax {
			return fmt.Errorf("--flood-steps has %d: use 0 to %d", steps, stepsMax)
		}
	}
	for name, value := range map[string]time.Duration{
		"timeout": s.Timeout, "watch": s.Watch, "steady-for": s.SteadyFor, "sleeps-for": s.SleepsFor,
		"waiting-for": s.WaitingFor, "waits-for": s.WaitsFor,
	} {
		if value <= 0 {
			return fmt.Errorf("--%s is %s: use more than 0", name, value)
		}
	}
	return nil
}

const (
	// countMax bounds what a scenario keeps in memory.
	countMax = 10_000_000
	// stepsMax is how many steps the protocol allows to a run.
	stepsMax = 1000
)

// mode is a way in which runs do their steps.
type mode struct {
	name       string
	checkpoint bool
}

func (s Settings) modes() []mode {
	var modes []mode
	if s.Checkpoint {
		modes = append(modes, mode{name: "checkpoint", checkpoint: true})
	}
	if s.Plain {
		modes = append(modes, mode{name: "plain"})
	}
	return modes
}

// number is short for a number.
func number(name string, value float64) meter.Number { return meter.Number{Name: name, Value: value} }

// count is a count of things, in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
