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
	// ItemInvoke: record that an invoked function did not end in time.
	ItemInvoke
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
	case ItemInvoke:
		return 'i'
	}
	return '?'
}

// Wakes tells whether the item calls no app: its time is all that it says.
func (k ItemKind) Wakes() bool { return k == ItemSleep || k == ItemTimeout || k == ItemInvoke }

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
	case ItemInvoke:
		return "invoke"
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

// Item is what the id tells of its item: run, kind, step or number, attempt. Errors: ErrInvalid.
func (id ItemID) Item() (Item, error) {
	invalid := Invalidf("%q is not an item's id", string(id))
	text := string(id)
	first, last := strings.IndexByte(text, '.'), strings.LastIndexByte(text, '.')
	if first < 0 || last < first+2 {
		return Item{}, invalid
	}
	item := Item{ID: id, Run: id.Run()}
	attempt, err := strconv.Atoi(text[last+1:])
	if err != nil || item.Run == (RunID{}) {
		return Item{}, invalid
	}
	item.Attempt = attempt
	letter, target := text[first+1], text[first+2:last]
	for kind := ItemDiscovery; kind <= ItemInvoke; kind++ {
		if kind.letter() == letter {
			item.Kind = kind
		}
	}
	if item.Kind != ItemDiscovery {
		item.Step = StepID(target)
	} else if item.Number, err = strconv.Atoi(target); err != nil {
		return Item{}, invalid
	}
	if item.id() != id {
		return Item{}, invalid
	}
	return item, nil
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
	// Parked says that the item is not in the queue, because it was due later than Horizon when it was opened. A runner
	// unparks it when its time is near.
	Parked bool
	// WaitsSince is since when the run waits for the item's time, of those that call no app; zero for others.
	WaitsSince time.Time
	// UnreachedSince is since when calls for the item, earlier attempts included, reach no app; zero if the last one did.
	UnreachedSince time.Time
	// Generation is the latest lease that claimed the item in the store; 0 if none had to.
	Generation int
	// Priority moves the item ahead of others in its lane that are due, by this much.
	Priority time.Duration
	// Limits are the keys that share the item's limits; with Function they make its lane. Items that call no app have them
	// too, so that all items of a run are found in one place, but do not count towards them.
	Limits []LimitKey
}

// Horizon is how far ahead of its time an item goes into the queue.
const Horizon = 10 * time.Minute

// OpenedAt is the item as it is opened at an instant: parked if it is due later than Horizon.
func (i Item) OpenedAt(now time.Time) Item {
	i.Parked = i.DueAt.Sub(now) > Horizon
	if i.Kind.Wakes() {
		i.WaitsSince = now
	}
	return i
}

// Unparked are those of the items that belong in the queue.
func Unparked(items []Item) []Item {
	var unparked []Item
	for _, item := range items {
		if !item.Parked {
			unparked = append(unparked, item)
		}
	}
	return unparked
}

// CountedAttempt is the attempt as the app sees it and as the retry budget counts it.
func (i Item) CountedAttempt() int { return i.Attempt - i.Forgiven }

// NewDiscovery is the number-th discovery of the run.
func NewDiscovery(run Run, number int, dueAt time.Time) Item {
	return newItem(run, ItemDiscovery, "", number, dueAt)
}

// NewStepItem is the item of a planned, sleeping or waiting step.
func NewStepItem(run Run, kind ItemKind, step StepID, dueAt time.Time) Item {
	return newItem(run, kind, step, 0, dueAt)
}

// NewCancelItem names the index-th of the waits that cancel the run. It is never open; no step's id has a control
// character, so that it names no step's.
func NewCancelItem(run Run, index int) Item {
	return newItem(run, ItemTimeout, StepID("cancel\n"+strconv.Itoa(index)), 0, time.Time{})
}

func newItem(run Run, kind ItemKind, step StepID, number int, dueAt time.Time) Item {
	return Item{Kind: kind, Step: step, Number: number, DueAt: dueAt}.Of(run)
}

// Of is the item with what it has from its run, and so with its id.
func (i Item) Of(run Run) Item {
	i.Run, i.Function, i.Priority, i.Limits = run.ID, run.Function, run.Priority, i.limitsOf(run.Limits)
	i.ID = i.id()
	return i
}

// Next is the item's next attempt.
func (i Item) Next(dueAt time.Time) Item {
	i.Attempt++
	i.DueAt = dueAt
	i.Generation = 0
	i.Limits = i.limitsOf(i.Limits)
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
