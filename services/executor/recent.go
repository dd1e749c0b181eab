package executor

import (
	"sync"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// recentMax bounds the runs that are remembered.
const recentMax = 4096

// recent remembers of the runs that were worked on lately what never changes: whose they are. It saves loading a run only
// to tell what became of it. Those that are not remembered are told of less well, and nothing else.
type recent struct {
	mu    sync.Mutex
	runs  map[stepwell.RunID]knownRun
	order [recentMax]stepwell.RunID
	next  int
}

// knownRun is what is remembered of a run.
type knownRun struct {
	function stepwell.Function
}

func newRecent() *recent { return &recent{runs: map[stepwell.RunID]knownRun{}} }

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
	// The rest of a function may be large.
	r.runs[state.Run.ID] = knownRun{function: stepwell.Function{ID: state.Function.ID, Slug: state.Function.Slug}}
}

// of is what is remembered of a run; nothing if it is not.
func (r *recent) of(run stepwell.RunID) knownRun {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.runs[run]
}
