package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepwell/stepwell/services/internal/queue"
)

const (
	// visitsMax bounds the lanes that one call looks at.
	visitsMax = 1024
	// advanceMax bounds what moves into the lanes with one call.
	advanceMax = 256
	// roundsMax bounds the round trips of a Lease. It is out of reach unless very much becomes due at the same time.
	roundsMax = 32
	// shareMin is what a shard is asked for at least, in the first round. A call costs about as much for 16 items as for one,
	// and leases of one shard are acknowledged together; the next Lease begins with the next shard.
	shareMin = 4 * queue.Quantum
)

// Lease implements queue.Consumer. It asks the shards whose turn it is for their share of what is wanted, in one round trip,
// and then for the shares of those that had less all the others and those that may have more.
func (q *Queue) Lease(ctx context.Context, request queue.LeaseRequest) (queue.Leased, error) {
	if err := q.ready(ctx); err != nil {
		return queue.Leased{}, err
	}
	request.Max = min(request.Max, queue.ItemsMax)
	got := q.leaseInTurn(ctx, request)
	leased, failures := queue.Leased{Leases: got.leases}, []error{got.err}
	if len(got.apart) > 0 {
		failures = append(failures, q.gather(ctx, got.apart, request.Now))
		request.Max -= len(leased.Leases)
		got = q.leaseInTurn(ctx, request)
		leased.Leases, failures = append(leased.Leases, got.leases...), append(failures, got.err)
	}
	if failure := errors.Join(failures...); len(leased.Leases) == 0 && failure != nil {
		return leased, q.failure(ctx, "lease", failure)
	}
	leased.NextAt = q.nextAt(request.Now, time.Time{})
	return leased, nil
}

// taken is what came of asking shards in turn.
type taken struct {
	leases []queue.Lease
	// apart are the shards that have items which are to be moved to others.
	apart []*shard
	err   error
}

func (q *Queue) leaseInTurn(ctx context.Context, request queue.LeaseRequest) taken {
	var all taken
	asked := q.inTurn()
	for round := range roundsMax {
		left := request.Max - len(all.leases)
		if left <= 0 || len(asked) == 0 {
			break
		}
		least := 1
		if round == 0 {
			least = shareMin
		}
		shares := divide(left, least, asked)
		for i, got := range q.leaseFrom(ctx, request, shares) {
			all.leases, all.err = append(all.leases, got.leases...), errors.Join(all.err, got.err)
			if got.apart && !slices.Contains(all.apart, shares[i].shard) {
				all.apart = append(all.apart, shares[i].shard)
			}
			if !got.more {
				asked = slices.DeleteFunc(asked, func(s *shard) bool { return s == shares[i].shard })
			}
		}
	}
	return all
}

// nextAt is when something becomes due or expires in any shard, as far as is known: now if there is ready work, or until
// if that is before or nothing is known.
func (q *Queue) nextAt(now, until time.Time) time.Time {
	for _, s := range q.shards {
		next, more := s.next()
		if more {
			return now
		}
		if !next.IsZero() && (until.IsZero() || next.Before(until)) {
			until = next
		}
	}
	return until
}

// inTurn are the shards in the order in which they are asked: those first of which we took the wake token, then as it is
// their turn.
func (q *Queue) inTurn() []*shard {
	first := int(q.turn.Add(1)) % len(q.shards)
	shards := slices.Concat(q.shards[first:], q.shards[:first])
	slices.SortStableFunc(shards, func(a, b *shard) int {
		switch {
		case a.hasToken() == b.hasToken():
			return 0
		case a.hasToken():
			return -1
		}
		return 1
	})
	return shards
}

// share is how much a shard is asked for.
type share struct {
	shard *shard
	max   int
}

// divide divides what is wanted among the shards, as evenly as it goes, but not into shares below least unless less is
// wanted.
func divide(want, least int, shards []*shard) []share {
	n := min((want+least-1)/least, len(shards))
	shares := make([]share, n)
	for i := range shares {
		shares[i] = share{shard: shards[i], max: want / n}
		if i < want%n {
			shares[i].max++
		}
	}
	return shares
}

// given is what a shard gave.
type given struct {
	leases []queue.Lease
	// more says that asking again may yield more, apart that there are items to be moved to another shard.
	more, apart bool
	err         error
}

// leaseFrom leases from several shards in one round trip. Where something is due that is not in its lane, as far as we
// know, it is moved there before.
func (q *Queue) leaseFrom(ctx context.Context, request queue.LeaseRequest, shares []share) []given {
	var calls []call
	places := make([]int, len(shares)) // of the lease calls
	tokens := make([]int, len(shares))
	for i, share := range shares {
		s, advanced := share.shard, 0
		if next, _ := s.next(); !next.IsZero() && micros(next) <= micros(request.Now) {
			calls, advanced = append(calls, q.advance(s, request.Now)), 1
		}
		if s.takeToken() {
			tokens[i] = 1
		}
		places[i] = len(calls)
		calls = append(calls, newCall(q.scripts.lease, s.keys, "",
			micros(request.Now), share.max, micros(request.Until), queue.Quantum, advanced, tokens[i], visitsMax))
	}
	replies := q.run(ctx, calls...)
	result := make([]given, len(shares))
	for i, share := range shares {
		got := replies[places[i]]
		if got.err != nil {
			if tokens[i] == 1 {
				share.shard.giveToken()
			}
			result[i].err = q.failure(ctx, fmt.Sprintf("lease from shard %d", share.shard.number), got.err)
			continue
		}
		result[i] = share.shard.given(request, got.value)
	}
	return result
}

// advance is the call that moves what is due at now into the lanes.
func (q *Queue) advance(s *shard, now time.Time) call {
	return newCall(q.scripts.advance, s.keys, "", micros(now), advanceMax, queue.LeasesMax)
}

// given reads the answer of the script lease, and takes note of what it says of the shard.
func (s *shard) given(request queue.LeaseRequest, answer any) given {
	var got given
	for pair := range slices.Chunk(texts(element(answer, 0)), 2) {
		item, generation := readItem(pair[0], pair[1])
		got.leases = append(got.leases, queue.Lease{Item: item, Generation: generation, ExpiresAt: request.Until})
	}
	var nextAt time.Time
	sooner := func(at time.Time) {
		if nextAt.IsZero() || at.Before(nextAt) {
			nextAt = at
		}
	}
	for _, at := range []any{element(answer, 1), element(answer, 2), element(answer, 3)} { // due, expires, limited
		if at != "" {
			sooner(fromMicros(number(at)))
		}
	}
	overdue := !nextAt.IsZero() && micros(nextAt) <= micros(request.Now)
	if len(got.leases) > 0 {
		sooner(request.Until)
	}
	lanesHaveMore := number(element(answer, 4)) == 1
	s.saw(nextAt, lanesHaveMore)
	got.more = overdue || lanesHaveMore
	got.apart = number(element(answer, 5)) == 1
	return got
}
