package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	eventv1 "github.com/stepwell/stepwell/proto/gen/stepwell/event/v1"
)

const (
	// rateMax bounds the events per second.
	rateMax = 2000
	// callTimeout bounds one attempt, giveUpAfter all attempts to publish one event.
	callTimeout = 5 * time.Second
	giveUpAfter = time.Minute
	// retryDelay is between attempts.
	retryDelay = 200 * time.Millisecond
	// underWayMax bounds the events that are being published at a time.
	underWayMax = 500
)

// The events start functions of the kitchen-sink app, which yield eventOutput: quick ones have three steps, slow ones one of
// two seconds.
const (
	quickEvent = "e2e/sequence"
	slowEvent  = "e2e/slow"
)

// publisher publishes one event a request, as documented: what is UNAVAILABLE is tried again with the same request_id.
type publisher struct {
	conn   *grpc.ClientConn
	client eventv1.EventServiceClient
	key    string

	mu    sync.Mutex
	known stats
	event string
	// rates takes events per second while it publishes.
	rates chan int
	acked []string
	// halt ends publishing, and waits until nothing is under way.
	halt func()
}

// stats are counts since the last start.
type stats struct {
	// Sent is how many events were to be published, Acked how many were answered with their id.
	Sent  int `json:"sent"`
	Acked int `json:"acked"`
	// Retries are attempts that failed and were made again, by the code that they failed with.
	Retries map[string]int `json:"retries"`
	// Errors are events that were given up, by the code of the last attempt.
	Errors map[string]int `json:"errors"`
	// SlowestMillis is the longest that an event took to be acked, with all attempts.
	SlowestMillis int64  `json:"slowest_ms"`
	LastProblem   string `json:"last_problem,omitempty"`
}

func newPublisher(target, key string) (*publisher, error) {
	conn, err := grpc.NewClient("dns:///"+target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`))
	if err != nil {
		return nil, fmt.Errorf("GRPC_ADDRESS %q: %w", target, err)
	}
	return &publisher{
		conn: conn, client: eventv1.NewEventServiceClient(conn), key: key,
		known: stats{Retries: map[string]int{}, Errors: map[string]int{}}, rates: make(chan int),
	}, nil
}

// start publishes until stop is called, and counts anew.
func (p *publisher) start(ctx context.Context, event string, rate int) {
	p.stop()
	p.note(func(s *stats) {
		*s = stats{Retries: map[string]int{}, Errors: map[string]int{}}
		p.acked = nil
		p.event = event
	})
	ctx, cancel := context.WithCancel(ctx)
	var underWay sync.WaitGroup // waited for by halt
	underWay.Go(func() { p.publishAll(ctx, rate, &underWay) })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.halt = func() {
		cancel()
		underWay.Wait()
	}
}

// change makes the rate another, if it publishes.
func (p *publisher) change(rate int) {
	select {
	case p.rates <- rate:
	case <-time.After(callTimeout):
	}
}

func (p *publisher) stop() {
	p.mu.Lock()
	halt := p.halt
	p.halt = nil
	p.mu.Unlock()
	if halt != nil {
		halt()
	}
}

// publishAll begins with an event at each tick, however long others take. What is under way at the end is finished.
func (p *publisher) publishAll(ctx context.Context, rate int, underWay *sync.WaitGroup) {
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	places := make(chan struct{}, underWayMax)
	for {
		select {
		case <-ctx.Done():
			return
		case rate := <-p.rates:
			ticker.Reset(time.Second / time.Duration(rate))
			continue
		case <-ticker.C:
		}
		select {
		case <-ctx.Done():
			return
		case places <- struct{}{}:
		}
		underWay.Go(func() {
			p.publish(context.WithoutCancel(ctx))
			<-places
		})
	}
}

func (p *publisher) publish(ctx context.Context) {
	began := time.Now()
	var event string
	p.note(func(s *stats) { s.Sent++; event = p.event })
	request := &eventv1.PublishRequest{
		RequestId: ulid.Make().String(), Events: []*eventv1.NewEvent{{Name: event, Data: []byte(`{}`)}},
	}
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+p.key)
	for {
		attempt, cancel := context.WithTimeout(ctx, callTimeout)
		answer, err := p.client.Publish(attempt, request)
		cancel()
		code := status.Code(err)
		again := code == codes.Unavailable || code == codes.DeadlineExceeded
		switch {
		case err == nil && len(answer.GetEventIds()) == 1:
			p.note(func(s *stats) {
				s.Acked++
				s.SlowestMillis = max(s.SlowestMillis, time.Since(began).Milliseconds())
				p.acked = append(p.acked, answer.GetEventIds()[0])
			})
			return
		case !again || time.Since(began) > giveUpAfter:
			p.note(func(s *stats) { s.Errors[code.String()]++; s.LastProblem = status.Convert(err).Message() })
			return
		}
		p.note(func(s *stats) { s.Retries[code.String()]++; s.LastProblem = status.Convert(err).Message() })
		time.Sleep(retryDelay)
	}
}

func (p *publisher) note(change func(*stats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.known)
}

func (p *publisher) stats() stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.known
	s.Retries, s.Errors = maps.Clone(s.Retries), maps.Clone(s.Errors)
	return s
}

func (p *publisher) ackedEvents() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.acked)
}
