// Package coalesce merges calls that are made at the same time into batches: one round trip, one statement or one commit
// does the work of many callers. A caller that is alone does not wait: its call is made at once, and whoever comes while
// it is under way shares the next one.
//
// It must not know what is called, nor retry, nor hold anything back in the hope of company.
//
// Invariants:
//
//	B1 An input is part of at most one batch, and every caller gets one answer.
//	B2 Inputs enter batches in the order in which they came; none overtakes another.
//	B3 At most Parallel calls are under way, and no goroutine exists besides theirs; an idle Coalescer has none.
package coalesce

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
)

// ErrClosed is the answer to an input that came after Close.
var ErrClosed = errors.New("coalescer is closed")

// errCallExited is the answer to a batch whose call ended its goroutine (runtime.Goexit) instead of returning.
var errCallExited = errors.New("coalesced call ended its goroutine")

// Config says what a Coalescer calls, and how much at a time.
type Config[In, Out any] struct {
	// Call does the work of a batch and returns one Out for each In, in their order. What concerns a single input belongs
	// into its Out; an error is everybody's. The batch is Call's to keep.
	//
	// ctx carries no deadline and none of the callers' values: a batch belongs to nobody in particular. It ends only when
	// Close gives up waiting.
	Call func(ctx context.Context, batch []In) ([]Out, error)
	// Parallel is how many calls may be under way at a time. With 1, batches also take effect in order.
	Parallel int
	// ItemsMax and BytesMax bound a batch by the sums of what Weigh says. An input above a bound is a batch of its own.
	ItemsMax int
	BytesMax int
	// Weigh says how much of the bounds an input takes. Nil: one item and no bytes.
	Weigh func(In) (items, bytes int)
}

// validate returns every problem at once.
func (c Config[In, Out]) validate() error {
	var problems []error
	if c.Call == nil {
		problems = append(problems, errors.New("call is needed"))
	}
	if c.Parallel < 1 {
		problems = append(problems, fmt.Errorf("parallel is %d, it must be above 0", c.Parallel))
	}
	if c.ItemsMax < 1 {
		problems = append(problems, fmt.Errorf("items_max is %d, it must be above 0", c.ItemsMax))
	}
	if c.Weigh != nil && c.BytesMax < 1 {
		problems = append(problems, fmt.Errorf("bytes_max is %d, it must be above 0", c.BytesMax))
	}
	return errors.Join(problems...)
}

// Coalescer merges concurrent Do calls. All methods are safe for concurrent use.
type Coalescer[In, Out any] struct {
	config Config[In, Out]
	// calling ends when Close gives up on the calls under way.
	calling context.Context //nolint:containedctx // lives as long as the Coalescer; callers' contexts must not end a batch
	abandon context.CancelFunc
	// workers makes the calls; Close waits for it.
	workers sync.WaitGroup

	mu      sync.Mutex
	waiting []*waiter[In, Out]
	// gone counts those in waiting whose caller gave up.
	gone    int
	running int
	closed  bool
}

// waiter is an input whose caller waits.
type waiter[In, Out any] struct {
	in           In
	items, bytes int
	// begun says that the input is part of a batch, gone that its caller no longer waits. Both are under Coalescer.mu.
	begun, gone bool
	// answered is closed when out and err are set.
	answered chan struct{}
	out      Out
	err      error
}

// New returns a Coalescer, or every problem of its configuration at once. It starts nothing.
func New[In, Out any](config Config[In, Out]) (*Coalescer[In, Out], error) {
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("coalescer: %w", err)
	}
	if config.Weigh == nil {
		config.Weigh = func(In) (int, int) { return 1, 0 }
	}
	c := &Coalescer[In, Out]{config: config}
	c.calling, c.abandon = context.WithCancel(context.Background()) //nolint:gosec // Close calls it
	return c, nil
}

// Do has the input worked on with others and returns its output.
//
// Errors: what Call returned for the whole batch; a *PanicError if Call panicked; ErrClosed if Close came first. In the
// first two cases, whether the input took effect is Call's to say.
//
// The context bounds the caller's wait and nothing else. If it ends before the input's batch began, the input is not
// worked on; after that it is, and nobody learns its output. Either way the error is the context's.
func (c *Coalescer[In, Out]) Do(ctx context.Context, in In) (Out, error) {
	var none Out
	if err := ctx.Err(); err != nil {
		return none, err
	}
	w := &waiter[In, Out]{in: in, answered: make(chan struct{})}
	w.items, w.bytes = c.config.Weigh(in)
	if !c.join(w) {
		return none, ErrClosed
	}
	select {
	case <-w.answered:
		return w.out, w.err
	case <-ctx.Done():
	}
	c.leave(w)
	select {
	case <-w.answered: // it came at the same time
		return w.out, w.err
	default:
		return none, ctx.Err()
	}
}

// Close refuses further inputs, lets those that wait be worked on, and returns when the last call has. If the context
// ends before, the calls' context ends too; Close then waits for Call to notice and returns the context's error.
func (c *Coalescer[In, Out]) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	defer c.abandon()
	idle := make(chan struct{})
	go func() { // ends with the workers, for which Close waits below
		defer close(idle)
		c.workers.Wait()
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		c.abandon()
		<-idle
		return ctx.Err()
	}
}

// join queues the input and sees to it that somebody works on it; false if the Coalescer is closed.
func (c *Coalescer[In, Out]) join(w *waiter[In, Out]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.waiting = append(c.waiting, w)
	c.start()
	return true
}

// leave takes an input whose caller gave up out of the queue, unless its batch began. It is only marked, and swept when
// half of the queue is: a call that hangs must neither collect inputs nor cost each of many callers a walk.
func (c *Coalescer[In, Out]) leave(w *waiter[In, Out]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.begun {
		return
	}
	w.gone = true
	c.gone++
	if 2*c.gone > len(c.waiting) {
		c.waiting = slices.DeleteFunc(c.waiting, func(w *waiter[In, Out]) bool { return w.gone })
		c.gone = 0
	}
}

// start starts a worker if there is work and room. Callers hold mu.
func (c *Coalescer[In, Out]) start() {
	if len(c.waiting) > 0 && c.running < c.config.Parallel {
		c.running++
		c.workers.Go(c.work)
	}
}

// work calls until nothing waits.
func (c *Coalescer[In, Out]) work() {
	// Also when a call ends this goroutine: those who wait get another.
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.running--
		c.start()
	}()
	for {
		runtime.Gosched()
		batch := c.next()
		if len(batch) == 0 {
			return
		}
		c.serve(batch)
	}
}

// next takes the longest batch within the bounds from the front of the queue; empty if nothing waits.
func (c *Coalescer[In, Out]) next() []*waiter[In, Out] {
	c.mu.Lock()
	defer c.mu.Unlock()
	var batch []*waiter[In, Out]
	items, bytes, taken := 0, 0, 0
	for _, w := range c.waiting {
		if w.gone {
			c.gone--
			taken++
			continue
		}
		items, bytes = items+w.items, bytes+w.bytes
		if len(batch) > 0 && (items > c.config.ItemsMax || bytes > c.config.BytesMax) {
			break
		}
		w.begun = true
		batch = append(batch, w)
		taken++
	}
	c.waiting = slices.Delete(c.waiting, 0, taken)
	return batch
}

// serve makes the call of a batch and answers everybody in it, whatever becomes of the call.
func (c *Coalescer[In, Out]) serve(batch []*waiter[In, Out]) {
	var outs []Out
	err := errCallExited
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: debug.Stack()}
		}
		for i, w := range batch {
			if w.err = err; err == nil {
				w.out = outs[i]
			}
			close(w.answered)
		}
	}()
	ins := make([]In, len(batch))
	for i, w := range batch {
		ins[i] = w.in
	}
	outs, err = c.config.Call(c.calling, ins)
	if err == nil && len(outs) != len(batch) {
		err = fmt.Errorf("coalesced call returned %d outputs for %d inputs", len(outs), len(batch))
	}
}

// PanicError says that a call panicked.
type PanicError struct {
	Value any
	// Stack is where.
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string { return fmt.Sprintf("coalesced call panicked: %v", e.Value) }

// Unwrap is the panic's value if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
