package executor

import (
	"sync"

	"github.com/stepwell/stepwell/services/internal/runtelemetry"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// recentMax bounds the runs that are remembered.
const recentMax = 4096

// recent remembers of the runs that were worked on lately what never changes: whose they are. It saves loading a run only
// to tell what became of it. Those that are not remembered are told of less well, and nothing else.
type recent struct {
	mu    sync.Mutex
	runs  map[stepwell.RunID]runtelemetry.Run
	order [recentMax]stepwell.RunID
	next  int
}

func newRecent() *recent { return &recent{runs: map[stepwell.RunID]runtelemetry.Run{}} }

// learn remembers a run, instead of the one that was learnt first.
func (r *recent) learn(state stepwell.RunState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.runs[state.Run.ID]; known {
		return
	}
	delete(r.runs, r.order[r.next])
	r.order[r.next] = state.Run.ID
	r.next = (r.next + 1) % recentMax
	r.runs[state.Run.ID] = runtelemetry.Run{ // the rest may be large, or changes
		ID: state.Run.ID, Function: stepwell.Function{ID: state.Function.ID, Slug: state.Function.Slug},
		Trace: state.Trace(), CreatedAt: state.Run.CreatedAt,
	}
}

// of is what is remembered of a run; false if it is not.
func (r *recent) of(run stepwell.RunID) (runtelemetry.Run, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.runs[run]
	return known, ok
}
