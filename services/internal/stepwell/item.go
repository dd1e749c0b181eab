package stepwell

import (
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

// ItemKind is what an item asks of the executor.
type ItemKind int

// The kinds.
const (
	// ItemDiscovery: call the app without a target; its code runs forward to what is new.
	ItemDiscovery ItemKind = iota
	// ItemStep: call the app to run one planned step.
	ItemStep
	// ItemSleep: record that a sleep is over.
	ItemSleep
	// ItemTimeout: record that a wait ended without what it waited for.
	ItemTimeout
)

// letter marks the kind in an ItemID.
func (k ItemKind) letter() byte {
	switch k {
	case ItemDiscovery:
		return 'd'
	case ItemStep:
		return 's'
	case ItemSleep:
		return 'z'
	case ItemTimeout:
		return 't'
	}
	return '?'
}

// String is the kind as people read it.
func (k ItemKind) String() string {
	switch k {
	case ItemDiscovery:
		return "discovery"
	case ItemStep:
		return "step"
	case ItemSleep:
		return "sleep"
	case ItemTimeout:
		return "timeout"
	}
	return "unknown"
}

// ItemID is deterministic from (run, discovery or step, attempt): putting an item back twice is harmless, and settling
// it twice is a conflict (I11). Its text is `<run>.<kind letter><target>.<attempt>`.
type ItemID string

// Run is the run that the item belongs to; zero if the text is no item id.
func (id ItemID) Run() RunID {
	head, _, _ := strings.Cut(string(id), ".")
	run, err := ulid.ParseStrict(head)
	if err != nil {
		return RunID{}
	}
	return RunID{run}
}

// Item is one unit of work for an executor.
type Item struct {
	ID       ItemID
	Run      RunID
	Function FunctionID
	Kind     ItemKind
	// Step is the target of all kinds but ItemDiscovery.
	Step StepID
	// Number is the ordinal of a discovery within its run, from 1.
	Number int
	// Attempt counts from 0.
	Attempt int
	// Forgiven are the attempts that no longer count, because the app made progress since (a checkpoint).
	Forgiven int
	// Race says that the end of the item's step must be seen by the app although others are open.
	Race bool
	// DueAt is when the item may be leased.
	DueAt time.Time
	// Generation is the latest lease that claimed the item in the store; 0 if none had to.
	Generation int
	// Priority moves the item ahead of others in its lane that are due, by this much.
	Priority time.Duration
	// Limits are the keys that share the item's limits; with Function they make its lane.
	Limits []LimitKey
}

// CountedAttempt is the attempt as the app sees it and as the retry budget counts it.
func (i Item) CountedAttempt() int { return i.Attempt - i.Forgiven }

// Lane names the items that share the same limits: those of one function with the same limit keys.
func (i Item) Lane() Lane {
	if len(i.Limits) == 0 {
		return Lane(i.Function.String())
	}
	var b strings.Builder
	b.WriteString(i.Function.String())
	for _, limit := range i.Limits {
		b.WriteByte('/')
		b.WriteString(strconv.Itoa(int(limit.Kind)))
		b.WriteByte('.')
		b.WriteString(strconv.Itoa(limit.Index))
		b.WriteByte('=')
		b.WriteString(strconv.Quote(limit.Value))
	}
	return Lane(b.String())
}

// Lane is a function and the values of its limit keys.
type Lane string

// LimitKey is the value that one of a function's limits has for a run.
type LimitKey struct {
	// Kind and Index name the limit: the Index-th of its kind in the function's FlowControl.
	Kind  LimitKind
	Index int
	// Value is what the limit's key expression yielded; empty if it has none.
	Value string
}

// LimitKind is a limit that the queue enforces.
type LimitKind int

// The kinds.
const (
	LimitConcurrency LimitKind = iota
	LimitThrottle
)

// NewDiscovery is the number-th discovery of the run.
func NewDiscovery(run Run, number int, dueAt time.Time) Item {
	return newItem(run, ItemDiscovery, "", number, dueAt)
}

// NewStepItem is the item of a planned, sleeping or waiting step.
func NewStepItem(run Run, kind ItemKind, step StepID, dueAt time.Time) Item {
	return newItem(run, kind, step, 0, dueAt)
}

func newItem(run Run, kind ItemKind, step StepID, number int, dueAt time.Time) Item {
	item := Item{
		Run: run.ID, Function: run.Function, Kind: kind, Step: step, Number: number,
		DueAt: dueAt, Priority: run.Priority, Limits: run.Limits,
	}
	item.ID = item.id()
	return item
}

// Next is the item's next attempt.
func (i Item) Next(dueAt time.Time) Item {
	i.Attempt++
	i.DueAt = dueAt
	i.Generation = 0
	i.ID = i.id()
	return i
}

func (i Item) id() ItemID {
	target := string(i.Step)
	if i.Kind == ItemDiscovery {
		target = strconv.Itoa(i.Number)
	}
	return ItemID(i.Run.String() + "." + string(i.Kind.letter()) + target + "." + strconv.Itoa(i.Attempt))
}
