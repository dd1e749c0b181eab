package executor

import (
	"sync"
	"time"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// heardFor is how long an executor that was told that somebody listens to the ends of runs believes that. Events that
// nobody listens to any more cost their making only: the store drops them.
const heardFor = time.Minute

// heard remembers in which environments somebody listens to the server's own events about runs. It saves deciding about
// each end twice.
type heard struct {
	mu    sync.Mutex
	until map[stepwell.EnvironmentID]time.Time
}

// learn says that somebody listens.
func (h *heard) learn(environment stepwell.EnvironmentID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until[environment] = time.Now().Add(heardFor)
}

func (h *heard) in(environment stepwell.EnvironmentID) engine.Heard {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Now().Before(h.until[environment]) {
		return engine.AllHeard()
	}
	return nil
}
