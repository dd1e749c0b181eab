// Package queue is the contract of the work queue between those who open items (runner, executor) and the executors
// that work on them. Drivers are memqueue and redisqueue; queuetest judges them.
//
// The queue is an index of work that is due, not the truth: what it loses is put back from the store, and what it has
// too many of is refused by the store. It must not know what an item means.
//
// Invariants that every driver keeps:
//
//	Q1 An item id is in the queue at most once: waiting, leased or dead.
//	Q2 An item is leased to at most one holder until its lease expires or is given up; generations grow by one.
//	Q3 An item is not leased before it is due.
//	Q4 (I9) A lane with many items does not delay another lane's first item by more than Quantum items a lane.
//	Q5 Within a lane, due items are leased in the order of (due time - priority).
//	Q6 A lease that expired LeasesMax times makes the item dead: it leaves the queue's way until it is redriven.
//	Q7 (I7) A shard that lost what was in it says so until somebody rebuilt it, and never because of a rebuilding that was
//	   itself undone.
//	Q8 (I20) Of the items that share a concurrency key, never more are leased than its limit. What a holder has that says
//	   nothing any more is free when its lease expires (I23).
//	Q9 (I21) In no window of a throttle's period are more items leased for the first time than its limit; but what was given
//	   back by Release was not.
//	Q10 A lane that waits for a limit is leased from as soon as the limit allows; nobody looks at it before.
//
// Limits are counted as those of lanes: by the limit keys of their items, and by the limit of the whole function, which
// also counts for items that were opened when it had none.
//
// A driver may divide the queue into shards (see Shards). It then keeps Q4 and Q5 within each shard and takes from the
// shards in turn, so that over all of them order and fairness hold but for the few items that a turn takes.
//
// Instants are kept to the microsecond, rounded down, as in Postgres: an item that is due at the instant it was opened is
// due at once.
package queue

import (
	"context"
	"strings"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// The bounds of a queue.
const (
	// ItemsMax bounds the items of one Enqueue and the leases of one Lease.
	ItemsMax = 1024
	// Quantum is how many items a lane may give before the next lane's turn.
	Quantum = 4
	// LeasesMax is how often a lease of an item may expire before the item is dead.
	LeasesMax = 5
	// ReasonBytesMax is where the reason of a dead item is cut.
	ReasonBytesMax = 1000
)

// Producer puts work into the queue.
type Producer interface {
	// Enqueue puts the items into their lanes. An item whose id is in the queue already, in any state, is left as it is,
	// so that putting back twice is harmless. Errors: stepwell.ErrUnavailable; then any of the items may be in.
	Enqueue(ctx context.Context, now time.Time, items []stepwell.Item) error
	// Remove takes items out that nobody needs any more, whatever their state. Unknown ids are ignored.
	Remove(ctx context.Context, ids []stepwell.ItemID) error
}

// Consumer takes work from the queue.
type Consumer interface {
	// Lease hands out items that are due, fairly over lanes (Q4). It does not block; Wait does.
	Lease(ctx context.Context, request LeaseRequest) (Leased, error)
	// Wait returns when something may have become leasable since the caller's Lease came back empty, at the latest at
	// until (the zero time: no latest), or with the context's error. It may return early.
	Wait(ctx context.Context, until time.Time) error
	// Extend prolongs leases to until and returns those that were lost: expired and handed out again, or removed.
	Extend(ctx context.Context, leases []Lease, now, until time.Time) (lost []Lease, err error)
	// Ack takes a settled item out, whoever holds it by now, and enqueues what its transition opened. Errors:
	// stepwell.ErrUnavailable; then the item may still be in, any of those that it opened may be in too, and one may be
	// held by nobody until HoldUntil.
	Ack(ctx context.Context, request AckRequest) (Acked, error)
	// Release gives a lease back unworked: the item is due again at dueAt, and the lease does not count towards
	// LeasesMax. A lost lease is ignored.
	Release(ctx context.Context, lease Lease, now, dueAt time.Time) error
	// Bury makes a leased item dead for a reason, which is cut at ReasonBytesMax. A lost lease is ignored.
	Bury(ctx context.Context, lease Lease, now time.Time, reason string) error
}

// Inspector shows the queue to operators.
type Inspector interface {
	// Stats counts the items as they are at now, in total and in each shard. It costs the same however many items there
	// are, so it may be asked every second. Errors: stepwell.ErrUnavailable.
	Stats(ctx context.Context, now time.Time) (Stats, error)
	// Waiting tells of those of the items that are due and not leased why that is so, as of the last time somebody looked at
	// their lanes. Errors: stepwell.ErrUnavailable.
	Waiting(ctx context.Context, now time.Time, items []stepwell.Item) (map[stepwell.ItemID]stepwell.Waiting, error)
	// Depths counts those of the functions' items that are due and not leased. The more functions, the more it costs, however
	// many items there are. Functions without such items may be missing. Errors: stepwell.ErrUnavailable.
	Depths(ctx context.Context, now time.Time, functions []stepwell.FunctionID) (map[stepwell.FunctionID]int, error)
	// Dead returns up to limit dead items, the latest first.
	Dead(ctx context.Context, limit int) ([]DeadItem, error)
	// Redrive makes a dead item due at now, as if it had never been leased but for its generation. Errors:
	// stepwell.ErrNotFound if no such item is dead.
	Redrive(ctx context.Context, now time.Time, id stepwell.ItemID) error
}

// Limiter is for those who know what the limits of functions are.
type Limiter interface {
	// SetLimits says how much of functions may be leased from now on, of items that are in, too; what was said with a later
	// revision counts. Items with limit keys wait until it is known what their function's limits are. Errors:
	// stepwell.ErrUnavailable; then it may count in some shards.
	SetLimits(ctx context.Context, functions []FunctionLimits) error
}

// FunctionLimits are what may be leased of a function.
type FunctionLimits struct {
	Function stepwell.FunctionID
	// Revision orders what is said of the function.
	Revision int64
	// Paused says that nothing is leased that calls the app.
	Paused bool
	Limits []stepwell.Limit
}

// Shards is for those who keep the queue filled. A queue consists of one or more shards; each may be lost on its own, and
// is then rebuilt from the store. Shards are numbered from 0, and their number does not change.
type Shards interface {
	// ShardCount is the number of shards.
	ShardCount() int
	// ShardOf is the shard that an item goes to. It is the same for all items of a run.
	ShardOf(item stepwell.Item) int
	// Lost returns what shards may have lost (Q7). A new queue is lost, so that it is filled. Errors: stepwell.ErrUnavailable.
	Lost(ctx context.Context, now time.Time) (Lost, error)
	// MarkRebuilt says that the lock's shard has again all it should have. The caller took the lock before it began to
	// enqueue; if the shard was lost again since, so was the lock. Items with limits are leased from an instant on, when
	// whoever has leases that the shard lost knows it; of a shard that is lost they are not leased at all (Q8). Then its windows
	// are lost still. Errors: stepwell.ErrLeaseLost if the lock is not the owner's any more, then the shard is not marked;
	// stepwell.ErrUnavailable.
	MarkRebuilt(ctx context.Context, lock Lock, limitedFrom time.Time) error
	// AddStarts counts starts of the lock's shard, at most ItemsMax, towards throttles. Those that count already are left as they
	// are, and those of functions whose limits are not known are not counted. Errors: as MarkRebuilt.
	AddStarts(ctx context.Context, lock Lock, starts []stepwell.ThrottleStart) error
	// MarkWindows says that all starts of the lock's shard were added that may lie in a window. Errors: as MarkRebuilt.
	MarkWindows(ctx context.Context, lock Lock) error
	// TryLock takes the lock for some time, or prolongs it if it is the owner's already. It returns false if it is
	// another's. Errors: stepwell.ErrUnavailable; then it may be taken.
	TryLock(ctx context.Context, lock Lock, lasts time.Duration) (bool, error)
	// Prolong has the lock last from now on, if it is still the owner's. Unlike TryLock it never takes a lock: false says
	// that it was lost in the meantime, and perhaps the shard with it. Errors: stepwell.ErrUnavailable; then it may be
	// prolonged, and is lost in the end if nothing else happens.
	Prolong(ctx context.Context, lock Lock, lasts time.Duration) (bool, error)
	// Unlock gives the lock up if it is the owner's.
	Unlock(ctx context.Context, lock Lock) error
}

// Lost are the shards that may lack something.
type Lost struct {
	// Items are the shards that may not have what was put into them: those that were never marked as rebuilt, and those that
	// lost it since.
	Items []int
	// Windows are the shards that are rebuilt, and of which limited items are leased by now, but that do not know what has
	// begun in the windows of throttles: until they do, what a throttle counts is not leased (Q9).
	Windows []int
}

// Lock is a right that one owner has for a while, such as to feed a shard. It saves work and must not be relied on for
// more: like everything in a shard it can be lost, and then have two owners.
type Lock struct {
	// Shard and Name say what is locked.
	Shard int
	Name  string
	// Owner says by whom; it must be different for everybody who might want the lock.
	Owner string
}

// Queue is everything a driver does. All methods are safe for concurrent use.
type Queue interface {
	Producer
	Consumer
	Inspector
	Limiter
	Shards
}

// LeaseRequest asks for work.
type LeaseRequest struct {
	Now time.Time
	// Max is how many items the caller has room for; at most ItemsMax.
	Max int
	// Until is when the leases expire if they are not extended.
	Until time.Time
	// Owner names the holder, for operators. A driver need not keep it.
	Owner string
}

// Lease is an item in somebody's hands.
type Lease struct {
	Item stepwell.Item
	// Generation counts the leases of the item, from 1. With the item's id it identifies the lease.
	Generation int
	ExpiresAt  time.Time
}

// Leased is the answer to a LeaseRequest.
type Leased struct {
	Leases []Lease
	// NextAt is when the next item becomes due or the next lease expires, as far as is known now; zero if there is none.
	// It is sure only if there was not enough to lease.
	NextAt time.Time
}

// AckRequest says that an item is settled.
type AckRequest struct {
	Now   time.Time
	Lease Lease
	// Next are the items that the settlement opened.
	Next []stepwell.Item
	// Hold asks to lease the first of Next that is due and new to the caller at once, so that it can stay on the run. A
	// crash returns it to others when that lease, until HoldUntil, expires.
	Hold      bool
	HoldUntil time.Time
}

// Acked is the answer to an AckRequest.
type Acked struct {
	// Held is the lease of a held item; nil if none was asked for, none was due, or its limits did not allow it.
	Held *Lease
}

// Stats counts the items of a queue.
type Stats struct {
	// Ready are due and not leased, Delayed are not yet due.
	Ready   int
	Delayed int
	Leased  int
	Dead    int
	// Held are those of the ready ones that were found to wait for a limit: more executors would not work on them.
	Held int
	// OldestDueAt is the earliest due time among the first items of the lanes, those that would be leased next; zero if
	// none is ready. A driver may look at some of the lanes only, those whose turn is next.
	OldestDueAt time.Time
	// Shards are the same of each shard, by its number; nil in a shard's own.
	Shards []Stats
}

// Add adds the next shard's.
func (s *Stats) Add(shard Stats) {
	s.Ready += shard.Ready
	s.Delayed += shard.Delayed
	s.Leased += shard.Leased
	s.Dead += shard.Dead
	s.Held += shard.Held
	if !shard.OldestDueAt.IsZero() && (s.OldestDueAt.IsZero() || shard.OldestDueAt.Before(s.OldestDueAt)) {
		s.OldestDueAt = shard.OldestDueAt
	}
	s.Shards = append(s.Shards, shard)
}

// CutReason returns the reason as a driver keeps it: at most ReasonBytesMax, no half characters.
func CutReason(reason string) string {
	if len(reason) > ReasonBytesMax {
		reason = reason[:ReasonBytesMax]
	}
	return strings.ToValidUTF8(reason, "")
}

// DeadItem is an item that left the queue's way.
type DeadItem struct {
	Item   stepwell.Item
	Reason string
	At     time.Time
}
