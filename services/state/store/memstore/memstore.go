// Package memstore keeps a store in memory: for the dev server, for unit tests, and as the oracle of other drivers.
//
// It must not persist anything, and it must not be clever: it is the contract, spelled out (README.md says what it
// lacks).
package memstore

import (
	"slices"
	"sync"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// Config bounds the memory.
type Config struct {
	// RunsMax is how many finished runs are kept.
	RunsMax int
	// LiveRunsMax is how many runs may be live at a time.
	LiveRunsMax int
	// BytesMax is how many bytes of payload the finished runs and the events may hold.
	BytesMax int
}

// DefaultConfig suits a laptop.
func DefaultConfig() Config {
	return Config{RunsMax: 10_000, LiveRunsMax: 1_000_000, BytesMax: 256 << 20}
}

// startKeysPerRun bounds the dedupe keys that outlive their runs.
const startKeysPerRun = 10

// Store is a store.Store in memory.
type Store struct {
	config Config

	mu       sync.Mutex
	catalogs map[stepwell.EnvironmentID]*catalog
	events   map[stepwell.EventID]*eventRecord
	runs     map[stepwell.RunID]*runRecord
	// eventIDs and runIDs are sorted.
	eventIDs []stepwell.EventID
	runIDs   []stepwell.RunID
	unrouted []stepwell.EventID
	starts   map[startKey]start
	// throttled is what throttles count, in the order in which it was told.
	throttled map[stepwell.FunctionID][]stepwell.ThrottleStart
	rates     rates
	// places are those that live runs have.
	places map[stepwell.PlaceKey]stepwell.RunID
	// deadlines are of live runs.
	deadlines map[stepwell.RunID]time.Time
	// buffers are by the runs that they are to start; openBuffers are the latest of each key.
	buffers     map[stepwell.RunID]*bufferRecord
	openBuffers map[bufferKey]*bufferRecord
	// startKeys are the keys of starts in the order they were made.
	startKeys []startKey
	// waits are by what they are found by; waitNames tells that of an item.
	waits     map[waitName]registered
	waitNames map[stepwell.ItemID]waitName
	evictable evictable
}

var _ store.Store = (*Store)(nil)

// New returns an empty store.
func New(config Config) *Store {
	return &Store{
		config:   config,
		catalogs: map[stepwell.EnvironmentID]*catalog{},
		events:   map[stepwell.EventID]*eventRecord{},
		runs:     map[stepwell.RunID]*runRecord{}, deadlines: map[stepwell.RunID]time.Time{},
		buffers: map[stepwell.RunID]*bufferRecord{}, openBuffers: map[bufferKey]*bufferRecord{},
		starts: map[startKey]start{}, throttled: map[stepwell.FunctionID][]stepwell.ThrottleStart{}, places: map[stepwell.PlaceKey]stepwell.RunID{},
		waits: map[waitName]registered{}, waitNames: map[stepwell.ItemID]waitName{},
	}
}

// eventRecord is an event and the kept runs that it started.
type eventRecord struct {
	event  stepwell.Event
	runs   []stepwell.RunID
	routed bool
}

func (e *eventRecord) bytes() int {
	return len(e.event.Data) + len(e.event.User) + len(e.event.Meta) + len(e.event.Name) + len(e.event.Key)
}

// runRecord is a run with all that happened in it.
type runRecord struct {
	run stepwell.Run
	// steps are in the order they were first heard of; recorded are indexes into them, in the order of Step.Order.
	steps    []stepwell.Step
	stepAt   map[stepwell.StepID]int
	recorded []int
	attempts []stepwell.Attempt
	// events are those that list the run.
	events []stepwell.EventID
	// cancelledBy names the waits that cancel the run.
	cancelledBy []stepwell.ItemID
	// place is what it has until it ends; nil for nothing.
	place *stepwell.PlaceKey
}

func (r *runRecord) bytes() int {
	n := r.run.Progress.StateBytes + len(r.run.Output)
	for _, attempt := range r.attempts {
		n += len(attempt.Error)
	}
	return n
}

func (r *runRecord) isRecorded(id stepwell.StepID) bool {
	i, known := r.stepAt[id]
	return known && r.steps[i].Status != stepwell.StepOpen
}

// spent tells whether the event ended a wait of the run.
func (r *runRecord) spent(event stepwell.EventID) bool {
	return slices.ContainsFunc(r.steps, func(step stepwell.Step) bool { return step.Event == event })
}

// startKey identifies a start for the dedupe window.
type startKey struct {
	function stepwell.FunctionID
	// once tells idempotency keys from those of events.
	once bool
	key  string
}

type start struct {
	run stepwell.RunID
	at  time.Time
}

// copyRun returns the run with no part shared that changes.
func copyRun(run stepwell.Run) stepwell.Run {
	run.Progress.Open = slices.Clone(run.Progress.Open)
	return run
}
