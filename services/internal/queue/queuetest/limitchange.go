package queuetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func testPausedWaits(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	function := newItem("a", 1, at(0)).Function
	f.enqueue(at(0), newItem("a", 1, at(0)), newLimited("a", 2, at(0), "x", keyed(1)))
	f.say(queue.FunctionLimits{Function: function, Revision: 1, Paused: true, Limits: []stepwell.Limit{keyed(1)}})
	require.Empty(t, f.lease(at(0), 10))
	require.Empty(t, f.lease(at(100), 10))
	f.say(queue.FunctionLimits{Function: function, Revision: 2, Limits: []stepwell.Limit{keyed(1)}})
	require.Len(t, f.lease(at(100), 10), 2)
}

func testThrottle(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	f.limit("a", 1, throttled(2, 10))
	var items []stepwell.Item
	for n := range 7 {
		items = append(items, newLimited("a", n, at(n-10), "", throttled(2, 10)))
	}
	f.enqueue(at(0), items...)
	leases := f.lease(at(0), 1)
	leases = append(leases, f.lease(at(4), 10)...)
	require.Equal(t, []stepwell.ItemID{items[0].ID, items[1].ID}, ids(leases))
	for _, lease := range leases { // its next items are not throttled
		run := stepwell.Run{ID: lease.Item.Run, Function: lease.Item.Function, Limits: lease.Item.Limits}
		request := queue.AckRequest{
			Now: at(4), Lease: lease, Next: []stepwell.Item{stepwell.NewDiscovery(run, 2, at(4))}, Hold: true, HoldUntil: at(64),
		}
		acked, err := f.Ack(f.ctx, request)
		require.NoError(t, err)
		require.NotNil(t, acked.Held)
	}
	leased, err := f.Lease(f.ctx, queue.LeaseRequest{Now: at(5), Max: 10, Until: at(65)})
	require.NoError(t, err)
	require.Empty(t, leased.Leases)
	require.Equal(t, at(10), leased.NextAt.UTC())
	require.Empty(t, f.lease(at(10).Add(-time.Microsecond), 10))
	require.Equal(t, items[2].ID, f.leaseOne(at(10)).Item.ID)
	require.Empty(t, f.lease(at(13), 10))
	require.Equal(t, items[3].ID, f.leaseOne(at(14)).Item.ID)
	require.Equal(t, []stepwell.ItemID{items[4].ID, items[5].ID}, ids(f.lease(at(40), 10)), "a pause is no credit")
}

func testReleasedHasNotStarted(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	f.limit("a", 1, throttled(1, 10))
	f.enqueue(at(0), newLimited("a", 1, at(0), "", throttled(1, 10)), newLimited("a", 2, at(0), "", throttled(1, 10)))
	require.NoError(t, f.Release(f.ctx, f.leaseOne(at(1)), at(1), at(30)))
	f.leaseOne(at(2))
	require.Empty(t, f.lease(at(3), 10))
}

func testChangedLimits(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	f.limit("a", 1, keyed(1))
	for n := range 40 {
		f.enqueue(at(0), newLimited("a", n, at(0), fmt.Sprint(n%2), keyed(1)))
	}
	require.Len(t, f.lease(at(0), 100), 2)
	f.limit("a", 2, keyed(3))
	leases := f.lease(at(0), 100)
	require.Len(t, leases, 4)
	f.limit("a", 3, whole(8), keyed(9))
	require.Len(t, f.lease(at(0), 100), 8, "a limit of the function counts for what is in, but not what is leased already")
	f.limit("a", 4, keyed(2))
	f.ack(at(0), leases[0])
	require.Empty(t, f.lease(at(0), 100))
	f.limit("a", 5)
	require.Len(t, f.lease(at(0), 100), 26)
}

func testOlderRevision(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	f.limit("a", 2, whole(1))
	f.limit("a", 1, whole(5))
	for n := range 5 {
		f.enqueue(at(0), newLimited("a", n, at(0), "", whole(1)))
	}
	require.Len(t, f.lease(at(0), 10), 1)
}

func testRemovedLane(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	limits := []stepwell.Limit{whole(1), keyed(1)}
	f.limit("a", 1, limits...)
	var items []stepwell.Item
	for n := range 6 {
		items = append(items, newLimited("a", n, at(0), fmt.Sprint(n), limits...))
	}
	f.enqueue(at(0), items...)
	lease := f.leaseOne(at(0))
	require.Empty(t, f.lease(at(0), 10))
	f.ack(at(0), lease) // somebody's turn has come
	for _, item := range items[:5] {
		require.NoError(t, f.Remove(f.ctx, []stepwell.ItemID{item.ID}))
	}
	require.Equal(t, items[5].ID, f.leaseOne(at(0)).Item.ID)
}

// testFreedWakes: who waits for work gets it as soon as its limit allows.
func testFreedWakes(t *testing.T, f *fixture) {
	f.wakes(t, func(lease queue.Lease) error {
		_, err := f.Ack(f.ctx, queue.AckRequest{Now: time.Now(), Lease: lease})
		return err
	})
}

func testRaisedWakes(t *testing.T, f *fixture) {
	revision := int64(1)
	f.wakes(t, func(lease queue.Lease) error {
		revision++
		limits := queue.FunctionLimits{
			Function: lease.Item.Function, Revision: revision, Limits: []stepwell.Limit{whole(int(revision))},
		}
		return f.SetLimits(f.ctx, []queue.FunctionLimits{limits})
	})
}

func (f *fixture) wakes(t *testing.T, makeRoom func(queue.Lease) error) {
	ctx, cancel := context.WithTimeout(f.ctx, patience)
	defer cancel()
	f.rebuild(at(0))
	f.limit("a", 1, whole(1))
	now := time.Now()
	f.enqueue(now, newLimited("a", 0, now, "", whole(1)))
	lease := f.leaseOne(now)
	for n := 1; n < 20; n++ {
		f.enqueue(now, newLimited("a", n, now, "", whole(1)))
		require.Empty(t, f.lease(time.Now(), 10))
		made := make(chan error, 1)
		go func() { made <- makeRoom(lease) }()
		var leases []queue.Lease
		for len(leases) == 0 {
			require.NoError(t, f.Wait(ctx, time.Now().Add(time.Minute)))
			leases = f.lease(time.Now(), 10)
		}
		require.NoError(t, <-made)
		require.Len(t, leases, 1)
		lease = leases[0]
	}
}

func testWaitingSaysWhy(t *testing.T, f *fixture) {
	function := newItem("paused", 0, at(0)).Function
	f.say(queue.FunctionLimits{Function: function, Revision: 1, Paused: true})
	f.limit("a", 1, keyed(1))
	var same []stepwell.Item
	for n := range 4 {
		same = append(same, newLimited("a", n, at(n-10), "a b/c", keyed(1)))
	}
	f.enqueue(at(0), same...)
	waiting := func(item stepwell.Item) stepwell.Waiting {
		got, err := f.Waiting(f.ctx, at(0), []stepwell.Item{item, newItem("unknown", 1, at(0))})
		require.NoError(t, err)
		require.Len(t, got, 1)
		return got[item.ID]
	}
	require.Empty(t, f.lease(at(0), 10))
	require.Equal(t, stepwell.Waiting{Why: stepwell.WhyUnknown, Ahead: 3}, waiting(same[3]), "the shard is not rebuilt")
	f.rebuild(at(0))
	leased := f.lease(at(10), 10)
	require.Len(t, leased, 1)
	unknown, paused, free := newLimited("b", 1, at(0), "x", keyed(1)), newItem("paused", 1, at(0)), newItem("c", 1, at(0))
	f.enqueue(at(10), unknown, paused)
	require.Empty(t, f.lease(at(10), 10))
	f.enqueue(at(10), free)
	require.Equal(t, stepwell.Waiting{Why: stepwell.WhyLimit, Limit: same[3].Limits[0], Ahead: 2}, waiting(same[3]))
	require.Equal(t, stepwell.Waiting{Why: stepwell.WhyUnknown}, waiting(unknown))
	require.Equal(t, stepwell.Waiting{Why: stepwell.WhyPaused}, waiting(paused))
	require.Equal(t, stepwell.Waiting{Why: stepwell.WhyTurn}, waiting(free))
	none, err := f.Waiting(f.ctx, at(10), []stepwell.Item{leased[0].Item, newItem("later", 1, at(100))})
	require.NoError(t, err)
	require.Empty(t, none)
}

// testFirstLimit: the first limit of a function counts for items that were opened without one, wherever they are, and for
// those that follow them.
func testFirstLimit(t *testing.T, f *fixture) {
	f.rebuild(at(0))
	f.enqueue(at(0), newItems("a", 12, at(-10))...)
	f.enqueue(at(0), newSteps("b", 3, at(-10))...)
	require.Len(t, f.lease(at(0), 3), 3)
	f.limit("a", 1, whole(2))
	f.enqueue(at(1), newLimited("a", 20, at(1), "", whole(2)))
	done, others := 3, 0
	for round := range 20 {
		var leases []queue.Lease
		for _, lease := range f.lease(at(1+round), 20) {
			if lease.Item.Function == newItem("a", 0, at(0)).Function {
				leases = append(leases, lease)
			} else {
				others++
			}
		}
		require.LessOrEqual(t, len(leases), 2)
		for _, lease := range leases {
			f.ack(at(1+round), lease)
			done++
		}
	}
	require.Equal(t, 12+1+3, done+others)
}
