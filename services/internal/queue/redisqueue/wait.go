package redisqueue

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stepwell/stepwell/services/internal/queue"
)

const (
	// pollEvery is how often somebody who waits looks for himself. Tokens wake him at once; but one is lost with a process
	// that took it and died, and none is left when a dead process' lease expires.
	pollEvery = time.Second
	// listenFor is how long one blocking command waits for a token.
	listenFor = time.Second
	// tokenMember is the one member of a shard's wake set. The scripts know it, too.
	tokenMember = "wake"
)

// Wait implements queue.Consumer.
//
// Whoever gives a shard its first ready item, or something that is due before all else, leaves a token there; one of those
// who wait takes it. It stays until then, so nothing is missed between Lease and Wait. Who took it puts it back if the
// next Lease leaves work, so that the next one wakes too.
func (q *Queue) Wait(ctx context.Context, until time.Time) error {
	if err := q.ready(ctx); err != nil {
		return err
	}
	woken := make(chan *shard, len(q.bells)) // each bell rings at most once
	defer q.leave(woken)
	poll := time.NewTicker(q.pollEvery)
	defer poll.Stop()
	for {
		now := time.Now()
		at := q.nextAt(now, until)
		if !at.IsZero() && !at.After(now) {
			return ctx.Err()
		}
		q.listen(woken)
		due := time.NewTimer(at.Sub(now))
		if at.IsZero() {
			due.Stop()
		}
		select {
		case s := <-woken:
			s.giveToken()
			return nil
		case <-due.C:
			return nil
		case <-ctx.Done():
			due.Stop()
			return ctx.Err()
		case <-q.closed:
			due.Stop()
			return q.failure(ctx, "wait", redis.ErrClosed)
		case <-poll.C:
			due.Stop()
			if err := q.look(ctx); err != nil {
				return err
			}
		}
	}
}

// look asks every shard what is next, and leases nothing.
func (q *Queue) look(ctx context.Context) error {
	request := queue.LeaseRequest{Now: time.Now()}
	calls := make([]call, len(q.shards))
	for i, s := range q.shards {
		calls[i] = newCall(q.scripts.lease, s.keys, "", micros(request.Now), 0, 0, queue.Quantum, 0, 0, 0)
	}
	for i, got := range q.run(ctx, calls...) {
		if got.err != nil {
			return q.failure(ctx, "wait", got.err)
		}
		q.shards[i].given(request, got.value)
	}
	return nil
}

// wake leaves a token in the shard.
func (q *Queue) wake(ctx context.Context, s *shard) {
	ctx, cancel := context.WithTimeout(ctx, q.config.Timeout)
	defer cancel()
	// If it fails, those who wait look for themselves.
	_ = q.client.ZAdd(ctx, s.keys.named(keyWake), redis.Z{Member: tokenMember}).Err()
}

// bell listens for tokens as long as somebody waits.
type bell struct {
	keys   []string
	shards map[string]*shard

	mu        sync.Mutex
	waiting   []chan<- *shard
	listening bool
}

// newBells returns the bells: a command of a cluster listens to one shard, otherwise one listens to all.
func (q *Queue) newBells() []*bell {
	_, cluster := q.client.(*redis.ClusterClient)
	var bells []*bell
	for _, s := range q.shards {
		if cluster || len(bells) == 0 {
			bells = append(bells, &bell{shards: map[string]*shard{}})
		}
		b, key := bells[len(bells)-1], s.keys.named(keyWake)
		b.keys, b.shards[key] = append(b.keys, key), s
	}
	return bells
}

// listen has the bells ring for somebody, if they do not already.
func (q *Queue) listen(woken chan<- *shard) {
	for _, b := range q.bells {
		b.mu.Lock()
		if !slices.Contains(b.waiting, woken) {
			b.waiting = append(b.waiting, woken)
		}
		if !b.listening {
			b.listening = q.start(func() { q.hear(b) })
		}
		b.mu.Unlock()
	}
}

// leave ends listening. Tokens that came at the last moment are kept for the next Lease; Close puts them back.
func (q *Queue) leave(woken chan *shard) {
	for _, b := range q.bells {
		b.mu.Lock()
		b.waiting = slices.DeleteFunc(b.waiting, func(w chan<- *shard) bool { return w == woken })
		b.mu.Unlock()
	}
	for {
		select {
		case s := <-woken:
			s.giveToken()
		default:
			return
		}
	}
}

// start starts a goroutine that Close waits for; not after Close.
func (q *Queue) start(do func()) bool {
	q.starting.Lock()
	defer q.starting.Unlock()
	select {
	case <-q.closed:
		return false
	default:
		q.listeners.Go(do)
		return true
	}
}

// hear passes tokens on until nobody waits, or Redis does not answer: then Wait tries again.
func (q *Queue) hear(b *bell) {
	for {
		s, err := q.takeFrom(b)
		b.mu.Lock()
		if s != nil && len(b.waiting) > 0 {
			b.waiting[0] <- s // it has room for each bell
			b.waiting = slices.Delete(b.waiting, 0, 1)
			s = nil
		}
		b.listening = err == nil && len(b.waiting) > 0
		goOn := b.listening
		b.mu.Unlock()
		if s != nil {
			q.wake(context.Background(), s) // nobody waits any more; it is another process' turn
		}
		if !goOn {
			return
		}
	}
}

// takeFrom takes a token of one of the bell's shards. It returns nil if there was none for a while.
func (q *Queue) takeFrom(b *bell) (*shard, error) {
	ctx, cancel := context.WithTimeout(context.Background(), listenFor+q.config.Timeout)
	defer cancel()
	got, err := q.client.BZPopMin(ctx, listenFor, b.keys...).Result()
	if err == redis.Nil { //nolint:errorlint // as go-redis documents it
		return nil, nil //nolint:nilnil // no token and no error
	}
	if err != nil {
		return nil, err
	}
	return b.shards[got.Key], nil
}
