package scenario

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stepwell/stepwell/tools/load/app"
	"github.com/stepwell/stepwell/tools/load/meter"
)

// ingest publishes events that start nothing.
func ingest(s Settings) []Case {
	var cases []Case
	for _, batch := range s.IngestBatches {
		cases = append(cases, Case{
			Name: fmt.Sprintf("ingest, %s a request", count(batch, "event")),
			Run:  func(ctx context.Context, rig Rig) (Result, error) { return s.ingest(ctx, rig, batch) },
		})
	}
	return cases
}

func (s Settings) ingest(ctx context.Context, rig Rig, batch int) (Result, error) {
	before, err := rig.Meter.Begin(ctx)
	if err != nil {
		return Result{}, err
	}
	begun := time.Now()
	took, err := publish(ctx, rig.App, s.Publishers, batch, s.IngestEvents, app.Nothing)
	if err != nil {
		return Result{}, err
	}
	seconds := time.Since(begun).Seconds()
	spent, err := rig.Meter.End(ctx, before, meter.Work{Unit: "event", Count: float64(s.IngestEvents)})
	return Result{
		Count: s.IngestEvents, Unit: "events", Seconds: seconds,
		Numbers: slices.Concat([]meter.Number{
			number("events per second", float64(s.IngestEvents)/seconds),
			number("requests per second", float64(len(took))/seconds),
		}, spent),
		Latencies: latency("publish", took),
	}, err
}
