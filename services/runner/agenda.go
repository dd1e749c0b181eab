package runner

import (
	"context"
	"sync/atomic"
	"time"
)

// agenda is for what is to be done at instants of the store: it sleeps until the next one, or until this runner has stored
// one that comes before.
type agenda struct {
	// sooner holds a token if there is one before next, in nanoseconds of Unix time.
	sooner chan struct{}
	next   atomic.Int64
}

func newAgenda() *agenda { return &agenda{sooner: make(chan struct{}, 1)} }

// keep does what is due, each at its instant, until the end. do does what is due now, and says whether there was anything,
// or else which instant, not after the end, is the next; zero if there is none.
func (a *agenda) keep(
	ctx context.Context, end time.Time, do func(ctx context.Context, now time.Time) (did bool, next time.Time, err error),
) error {
	for {
		now := time.Now()
		a.next.Store(end.UnixNano()) // what comes from here on may be missed by the look
		did, next, err := do(ctx, now)
		if err != nil {
			return err
		}
		if did {
			continue
		}
		if next.IsZero() || next.After(end) {
			next = end
		}
		a.next.Store(next.UnixNano())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.sooner:
		case <-time.After(next.Sub(now)):
			if !next.Before(end) {
				return nil
			}
		}
	}
}

// expect says that something is to be done at an instant; zero for nothing.
func (a *agenda) expect(at time.Time) {
	if at.IsZero() || at.UnixNano() >= a.next.Load() {
		return
	}
	select {
	case a.sooner <- struct{}{}:
	default: // it will look anyway
	}
}
