package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/stepwell/stepwell/tools/load/app"
	"github.com/stepwell/stepwell/tools/load/meter"
	"github.com/stepwell/stepwell/tools/load/scenario"
)

// rigs are what the servers are measured with, in the order of the servers.
type rigs []scenario.Rig

// open makes ready to measure. What it returns must be closed even if it fails.
func open(ctx context.Context, o options, log *slog.Logger) (rigs, error) {
	var opened rigs
	for _, s := range o.servers {
		m, err := meter.Open(ctx, s.meter)
		if err != nil {
			return opened, err
		}
		a, err := app.Start(ctx, s.app)
		if err != nil {
			m.Close()
			return opened, err
		}
		rig := scenario.Rig{App: a, Meter: m, Log: log.With("server", s.app.Server)}
		opened = append(opened, rig)
		rig.Log.Info("warming up")
		if err := o.sizes.WarmUp(ctx, rig); err != nil {
			return opened, fmt.Errorf("warming up %s: %w", s.app.Server, err)
		}
	}
	return opened, nil
}

func (r rigs) close() {
	for _, rig := range r {
		rig.App.Close()
		rig.Meter.Close()
	}
}

// measure runs each case on each server, in rounds. Of two servers each is first in turn, so that neither profits from a
// machine that becomes slower or a disk that fills: A B, B A, A B, …
// The results are by server, in the order of the servers.
func measure(ctx context.Context, o options, rigs rigs, log *slog.Logger) ([][]scenario.Result, error) {
	results := make([][]scenario.Result, len(rigs))
	for _, s := range o.scenarios {
		for _, c := range s.Cases(o.sizes) {
			for round := range o.rounds {
				for turn := range rigs {
					which := turn
					if round%2 == 1 {
						which = len(rigs) - 1 - turn
					}
					result, err := measureOnce(ctx, c, rigs[which])
					if err != nil {
						return results, fmt.Errorf("%s, on %s: %w", c.Name, o.servers[which].app.Server, err)
					}
					result.Server = o.servers[which].app.Server
					results[which] = append(results[which], result)
					log.Info("done", "case", c.Name, "server", result.Server, "round", round+1, "of", o.rounds)
				}
			}
		}
	}
	return results, nil
}

// measureOnce runs a case.
func measureOnce(ctx context.Context, c scenario.Case, rig scenario.Rig) (scenario.Result, error) {
	rig.Log.Info("running", "case", c.Name)
	retries := rig.App.Retries()
	result, err := c.Run(ctx, rig)
	result.Case = c.Name
	if retries = rig.App.Retries() - retries; retries > 0 {
		rig.Log.Warn("the server refused some requests, which were tried again", "times", retries)
	}
	result.Numbers = append([]meter.Number{{Name: "requests tried again", Value: float64(retries)}}, result.Numbers...)
	return result, err
}
