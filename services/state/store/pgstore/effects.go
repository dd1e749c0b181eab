package pgstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// lockRuns locks the runs that the requests may change, and finds out who has the places that starts take.
func (in *ingestion) lockRuns(ctx context.Context, conn sender) error {
	var all []stepwell.Transition
	starts := in.starts
	for _, request := range in.requests {
		all = append(all, request.Cancels...)
		for _, e := range request.Events {
			own := starts[:len(e.Starts)]
			starts = starts[len(e.Starts):]
			if !request.Unrouted && in.first[e.Event.ID] {
				all = append(all, e.Transitions...)
				all = append(all, mayRefuse(own, request.Now)...)
			}
		}
		all = append(all, mayRefuse(starts[:len(request.Fires)], request.Now)...)
		starts = starts[len(request.Fires):]
	}
	in.heads = &heads{}
	if len(all) > 0 {
		var err error
		if in.heads, err = lockHeads(ctx, conn, &pipeline{}, all); err != nil {
			return err
		}
	}
	return in.loadHolders(ctx, conn)
}

// mayRefuse is what may end in runs that invoked the functions of starts.
func mayRefuse(starts []*startInProgress, now time.Time) []stepwell.Transition {
	var may []stepwell.Transition
	for _, start := range starts {
		may = append(may, start.refusals(now)...)
		if start.Place != nil && start.Place.Refused != nil {
			may = append(may, start.Place.Refused.Transition(start.Run.Environment, now))
		}
	}
	return may
}

// loadHolders finds out who has the places that starts take. The locks of the places are held, so that only the end of a
// run changes that.
func (in *ingestion) loadHolders(ctx context.Context, conn sender) error {
	in.holders = map[startKey]stepwell.RunID{}
	var keys []startKey
	var ask placeRows
	for _, start := range in.starts {
		if start.Place != nil {
			key := startKeyOf(start.RunStart, start.Place.Key)
			keys = append(keys, key)
			ask.add(key, start.Run.ID)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	var rows []pgsql.HoldersRow
	p := &pipeline{}
	collect(p, &rows, pgsql.Holders, ask.functions, ask.hashes)
	if err := p.send(ctx, conn); err != nil {
		return fmt.Errorf("look at places: %w", err)
	}
	for _, row := range rows {
		in.holders[keys[row.Position-1]] = stepwell.RunID{ULID: row.RunID.Bytes}
	}
	return nil
}

// decide decides in order what the requests do that depends on what others did: which starts take their places, and what
// changes in other runs. It returns the requests that turn out to be stale, of which nothing is decided.
func (in *ingestion) decide(results []store.Ingested) (stale []int) {
	starts := in.starts
	for i, request := range in.requests {
		results[i] = store.Ingested{}
		count := len(request.AllStarts())
		own := starts[:count]
		starts = starts[count:]
		if in.outdated(request, own) {
			stale = append(stale, i)
			continue
		}
		for _, e := range request.Events {
			in.decideEvent(request, e, own[:len(e.Starts)], &results[i])
			own = own[len(e.Starts):]
		}
		for _, start := range own {
			in.decideFire(request, start, &results[i])
		}
	}
	return stale
}

// outdated tells whether another run has a place than those that the request cancels, or a cancel tells too little.
func (in *ingestion) outdated(request store.Ingest, starts []*startInProgress) bool {
	return store.Unaware(request.Cancels, in.heads.isHeard) || slices.ContainsFunc(starts, func(start *startInProgress) bool {
		if start.Place == nil || !start.Place.Takes {
			return false
		}
		holder := in.holder(startKeyOf(start.RunStart, start.Place.Key))
		if holder == (stepwell.RunID{}) {
			return false
		}
		head := in.heads.runs[holder]
		if head == nil {
			return true
		}
		_, current := store.CancelOf(head.run, request.Cancels)
		return !current
	})
}

// holder is the live run that has a place.
func (in *ingestion) holder(key startKey) stepwell.RunID {
	holder := in.holders[key]
	if head := in.heads.runs[holder]; head != nil && head.run.Status.Ended() {
		return stepwell.RunID{}
	}
	return holder
}

func (in *ingestion) decideEvent(
	request store.Ingest, e store.IngestEvent, starts []*startInProgress, result *store.Ingested,
) {
	runs := make([]store.StartedRun, len(starts))
	transitions := slices.Clip(e.Transitions)
	for i, start := range starts {
		in.takePlace(start, request.Cancels, result)
		runs[i] = start.report(result)
		transitions = append(transitions, start.refusals(request.Now)...)
	}
	if request.Unrouted {
		runs = nil
	} else if in.awaited[e.Event.ID] {
		result.Awaited = append(result.Awaited, e.Event.ID)
	}
	result.Runs = append(result.Runs, runs)
	// An event may be in the batch as unrouted too, with nothing to apply.
	if request.Unrouted || !in.first[e.Event.ID] || in.applied[e.Event.ID] {
		return
	}
	in.applied[e.Event.ID] = true
	for _, t := range transitions {
		_ = in.apply(t, result) // one that conflicts is dropped: somebody was first
	}
}

// decideFire decides what a buffer's start does.
func (in *ingestion) decideFire(request store.Ingest, start *startInProgress, result *store.Ingested) {
	in.takePlace(start, request.Cancels, result)
	result.Fired = append(result.Fired, start.report(result))
	for _, t := range start.refusals(request.Now) {
		_ = in.apply(t, result) // one that conflicts is dropped: somebody was first
	}
}

// takePlace has a run that starts take its place, or skips it if another run keeps that.
func (in *ingestion) takePlace(start *startInProgress, cancels []stepwell.Transition, result *store.Ingested) {
	if start.Place == nil || !start.result.Started() {
		return
	}
	key := startKeyOf(start.RunStart, start.Place.Key)
	if holder := in.holder(key); holder != (stepwell.RunID{}) {
		if !start.Place.Takes || !in.cancel(holder, cancels, result) {
			start.result.Skip, start.existing = stepwell.SkipSingleton, holder
			return
		}
	}
	in.holders[key] = start.Run.ID
	in.taken[key] = start.Run.ID
	if head := in.heads.runs[start.Run.ID]; head != nil { // a later start may cancel it
		*head = headOf(start)
		in.heads.order = append(in.heads.order, start.Run.ID)
	}
}

// headOf is the head of a run that starts now, which has been asked for before there was one.
func headOf(start *startInProgress) head {
	return head{run: start.Run, timed: !start.Deadline.IsZero()}
}

// cancel ends a run that has a place, and reports whether it did.
func (in *ingestion) cancel(holder stepwell.RunID, cancels []stepwell.Transition, result *store.Ingested) bool {
	head := in.heads.runs[holder]
	if head == nil {
		return false
	}
	t, ok := store.CancelOf(head.run, cancels)
	if !ok || in.apply(t, result) != nil {
		return false
	}
	result.Cancelled = append(result.Cancelled, holder)
	return true
}

// apply applies what changes in another run.
func (in *ingestion) apply(t stepwell.Transition, result *store.Ingested) error {
	committed := in.heads.apply(t)
	if committed.Err != nil {
		return committed.Err
	}
	result.Add(t, committed)
	return nil
}

// putHolders queues who has taken places, after what frees them.
func (in *ingestion) putHolders(ctx context.Context, p *pipeline) error {
	var rows placeRows
	for key, run := range in.taken {
		if in.holder(key) == run { // it may have ended at once
			rows.add(key, run)
		}
	}
	if len(rows.runs) == 0 {
		return nil
	}
	return pgsql.New(p).PutHolders(ctx, rows.functions, rows.hashes, rows.runs)
}
