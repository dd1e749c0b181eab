// Package batchstore merges the calls that many goroutines make to a store at the same time into few: one round trip or
// one database transaction does the work of all. A caller that is alone does not wait for company.
//
// It must not change what any caller is told.
package batchstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stepwell/stepwell/services/internal/coalesce"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// Config bounds the calls to the store behind.
type Config struct {
	// Parallel is how many calls of one kind may be under way at a time: few make large batches, more use more cores.
	Parallel int
	// ItemsMax and BytesMax bound what callers are merged into one call; a larger one goes alone.
	ItemsMax int
	BytesMax int
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{Parallel: 2, ItemsMax: 256, BytesMax: 8 << 20} }

// Store is the store behind it, with merged Ingest, Commit and LoadRuns calls.
type Store struct {
	store.Store
	bytesMax int
	ingests  *coalesce.Coalescer[[]store.Ingest, []store.Ingested]
	commits  *coalesce.Coalescer[[]stepwell.Transition, []store.Committed]
	loads    *coalesce.Coalescer[[]stepwell.RunID, []store.Loaded]
}

var (
	_ store.Store      = (*Store)(nil)
	_ store.Maintainer = (*Store)(nil)
	_ store.Prober     = (*Store)(nil)
)

// New returns a store on top of another. It has nothing to close: without callers there is no goroutine.
func New(behind store.Store, config Config) (*Store, error) {
	if config.ItemsMax > store.TransitionsMax {
		return nil, fmt.Errorf("items_max is %d, at most %d are allowed", config.ItemsMax, store.TransitionsMax)
	}
	ingests, err1 := merged(config, behind.Ingest, ingestBytes)
	commits, err2 := merged(config, behind.Commit, transitionBytes)
	// How large a run is turns out only when it is loaded.
	loads, err3 := merged(config, behind.LoadRuns, func(stepwell.RunID) int { return 0 })
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("merge calls to the store: %w", err)
	}
	return &Store{Store: behind, bytesMax: config.BytesMax, ingests: ingests, commits: commits, loads: loads}, nil
}

// merged is a coalescer of calls that take and return a slice.
func merged[In, Out any](
	config Config, call func(context.Context, []In) ([]Out, error), bytesOf func(In) int,
) (*coalesce.Coalescer[[]In, []Out], error) {
	return coalesce.New(coalesce.Config[[]In, []Out]{
		Parallel: config.Parallel, ItemsMax: config.ItemsMax, BytesMax: config.BytesMax,
		Weigh: func(ins []In) (items, bytes int) {
			for _, in := range ins {
				bytes += bytesOf(in)
			}
			return len(ins), bytes
		},
		Call: func(ctx context.Context, batch [][]In) ([][]Out, error) {
			if len(batch) == 1 {
				outs, err := call(ctx, batch[0])
				return [][]Out{outs}, err
			}
			var all []In
			for _, ins := range batch {
				all = append(all, ins...)
			}
			outs, err := call(ctx, all)
			if err != nil {
				return nil, err
			}
			parts := make([][]Out, len(batch))
			for i, ins := range batch {
				parts[i], outs = outs[:len(ins):len(ins)], outs[len(ins):]
			}
			return parts, nil
		},
	})
}

// Ingest implements store.Ingester.
func (s *Store) Ingest(ctx context.Context, requests []store.Ingest) ([]store.Ingested, error) {
	return s.ingests.Do(ctx, requests)
}

// Commit implements store.Committer. What is too large for one call is committed by several.
func (s *Store) Commit(ctx context.Context, transitions []stepwell.Transition) ([]store.Committed, error) {
	var all []store.Committed
	for len(all) < len(transitions) {
		rest := transitions[len(all):]
		n, bytes := 1, transitionBytes(rest[0])
		for n < len(rest) && bytes+transitionBytes(rest[n]) <= s.bytesMax {
			bytes += transitionBytes(rest[n])
			n++
		}
		results, err := s.commits.Do(ctx, rest[:n])
		if err != nil {
			return nil, err
		}
		all = append(all, results...)
	}
	return all, nil
}

// LoadRuns implements store.Committer.
func (s *Store) LoadRuns(ctx context.Context, ids []stepwell.RunID) ([]store.Loaded, error) {
	return s.loads.Do(ctx, ids)
}

// Maintain implements store.Maintainer, as far as the store behind does.
func (s *Store) Maintain(ctx context.Context, now time.Time) error {
	if behind, ok := s.Store.(store.Maintainer); ok {
		return behind.Maintain(ctx, now)
	}
	return nil
}

// Ready implements store.Prober, as far as the store behind does.
func (s *Store) Ready(ctx context.Context) error {
	if behind, ok := s.Store.(store.Prober); ok {
		return behind.Ready(ctx)
	}
	return nil
}

func ingestBytes(in store.Ingest) int {
	n := 0
	for _, e := range in.Events {
		n += eventBytes(e.Event)
		for _, t := range e.Transitions {
			n += transitionBytes(t)
		}
	}
	for _, t := range in.Cancels {
		n += transitionBytes(t)
	}
	return n
}

func transitionBytes(t stepwell.Transition) int {
	n := 0
	for _, step := range t.Records {
		n += len(step.Result.JSON)
	}
	if t.Attempt != nil {
		n += len(t.Attempt.Error)
	}
	for _, opening := range t.Opens {
		if opening.Emits != nil {
			n += eventBytes(*opening.Emits)
		}
	}
	if t.End == nil {
		return n
	}
	n += len(t.End.Output)
	for _, event := range t.End.Emits {
		n += eventBytes(event)
	}
	for _, resume := range t.End.Resumes {
		n += len(resume.Step.Result.JSON)
	}
	return n
}

func eventBytes(event stepwell.Event) int { return len(event.Data) + len(event.User) + len(event.Meta) }
