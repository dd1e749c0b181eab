package engine

import (
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// HasTimeouts tells whether runs of the function may take only so long.
func HasTimeouts(flow stepwell.FlowControl) bool {
	return flow.StartWithin > 0 || flow.FinishWithin > 0
}

// Timeout tells whether a run takes too long, so that it is to be cancelled, and if not, when to look again; zero for
// never. A run is to start, which is to be called for the first time, within StartWithin of its creation, and to end within
// FinishWithin of its start. Batches have waited for their events, and may start whenever it is.
func Timeout(run stepwell.Run, flow stepwell.FlowControl, now time.Time) (over bool, again time.Time) {
	switch {
	case run.Status.Ended():
		return false, time.Time{}
	case !run.StartedAt.IsZero() && flow.FinishWithin > 0:
		again = run.StartedAt.Add(flow.FinishWithin)
	case run.StartedAt.IsZero() && flow.StartWithin > 0 && flow.Batch == nil:
		again = run.CreatedAt.Add(flow.StartWithin)
	case run.StartedAt.IsZero() && flow.FinishWithin > 0:
		return false, now.Add(flow.FinishWithin) // it starts now at the earliest
	default:
		return false, time.Time{}
	}
	return !now.Before(again), again
}
