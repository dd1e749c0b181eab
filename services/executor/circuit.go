package executor

import (
	"context"
	"log/slog"
	"net/url"
	"sync"
	"time"
)

// The bounds of circuits.
const (
	// originsMax bounds the origins that are remembered. Only those that do not answer are.
	originsMax = 1000
	// openForMin and openForMax bound how long a circuit stays open before the next call is tried.
	openForMin = time.Second
	openForMax = 30 * time.Second
)

// circuits keeps calls from origins (scheme, host and port) that do not answer, so that a dead app does not hold up
// executors. After some failures in a row a circuit opens: one call is tried after a while, twice as long after each that
// fails too, until one is answered. It is this process's own view and lost with it.
type circuits struct {
	failuresMax int
	random      func() float64
	log         *slog.Logger

	mu      sync.Mutex
	origins map[string]*circuit
}

// circuit is an origin whose latest call was not answered.
type circuit struct {
	failures int
	// since is when the first of the failures was, failedAt the latest.
	since    time.Time
	failedAt time.Time
	reason   string
	// openFor is zero while the circuit is closed; openedAt is when it was last opened, or found to be still needed.
	openFor  time.Duration
	openedAt time.Time
	// tryAt is when the next call may be tried.
	tryAt time.Time
}

// outage is an open circuit to who wants to make a call; the zero outage is a closed one.
type outage struct {
	since  time.Time
	reason string
	// tryAt is when to come back.
	tryAt time.Time
}

// originOf is the origin of a URL.
func originOf(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return target
	}
	return u.Scheme + "://" + u.Host
}

// admit says whether the origin may be called now, and what is known of its outage if its circuit is open. Then one call
// at a time is the one that tries it; those who come back do so one after the other, so that they need not all wait for
// it.
func (c *circuits) admit(origin string, now time.Time) (_ outage, admitted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.origins[origin]
	if known == nil || known.openFor == 0 {
		return outage{}, true
	}
	spread := time.Duration(c.random() * float64(known.openFor) / 4)
	missed := outage{since: known.since, reason: known.reason, tryAt: known.tryAt.Add(spread)}
	if now.Before(known.tryAt) {
		return missed, false
	}
	// If it takes longer than failing to connect does, the app has taken the call and works on it: then others may try.
	known.tryAt = now.Add(max(known.openFor, dialTimeout))
	return missed, true
}

// open counts the origins whose circuit is open.
func (c *circuits) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, known := range c.origins {
		if known.openFor > 0 {
			n++
		}
	}
	return n
}

// answered closes the origin's circuit.
func (c *circuits) answered(ctx context.Context, origin string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.origins[origin]; known != nil && known.openFor > 0 {
		c.log.InfoContext(ctx, "app answers again", slog.String("origin", origin), slog.Time("since", known.since))
	}
	delete(c.origins, origin)
}

// failed counts a call that began at an instant and was not answered.
func (c *circuits) failed(ctx context.Context, origin, reason string, began, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.origins[origin]
	if known == nil {
		known = &circuit{since: now}
		c.remember(origin, known)
	}
	known.failures++
	known.failedAt, known.reason = now, reason
	if known.failures < c.failuresMax || began.Before(known.openedAt) {
		return // too few yet, or one of many that were under way when it opened
	}
	if known.openFor == 0 {
		c.log.WarnContext(ctx, "app does not answer, what is due waits", slog.String("origin", origin),
			slog.Time("since", known.since), slog.String("error", reason))
	}
	known.openedAt = now
	known.openFor = min(max(2*known.openFor, openForMin), openForMax)
	known.tryAt = now.Add(time.Duration(float64(known.openFor) * (1 + c.random()/4)))
}

// remember makes room for an origin by forgetting the one that nobody has called for the longest time.
func (c *circuits) remember(origin string, known *circuit) {
	if len(c.origins) >= originsMax {
		oldest := ""
		for other, circuit := range c.origins {
			if oldest == "" || circuit.failedAt.Before(c.origins[oldest].failedAt) {
				oldest = other
			}
		}
		delete(c.origins, oldest)
	}
	c.origins[origin] = known
}
