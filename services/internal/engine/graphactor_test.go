package engine_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// graphExecutor works on one lease, in the order of package executor: claim, load, call, decide, commit, acknowledge.
type graphExecutor struct {
	world      *graphWorld
	item       stepwell.Item
	generation int
	claimed    bool
	call       *engine.Call
	session    *graphSession
	// checkpoint is what the app reports; told how often it did.
	checkpoint []byte
	told       int
	answer     *sdk.Response
	decided    *stepwell.Transition
}

// graphGone is for how long an app may be gone: longer than any run takes.
const graphGone = 10 * 365 * 24 * time.Hour

// act implements graphActor.
func (x *graphExecutor) act() bool {
	w := x.world
	if w.fault("executor dies") {
		if e := w.entry(x.item.ID); e != nil && e.generation == x.generation {
			e.leased = false
		}
		return true
	}
	switch {
	case x.generation > 1 && !x.claimed:
		x.claimed = true
		if err := w.store.Claim(w.ctx, x.item.ID, x.generation, time.Time{}); err != nil {
			return x.useless(err)
		}
	case x.decided != nil:
		return x.commit()
	case x.item.Kind == stepwell.ItemSleep || x.item.Kind == stepwell.ItemTimeout:
		wake := engine.Wake(x.item, x.generation, w.now)
		x.decided = &wake
	case x.call == nil:
		return x.load()
	case x.answer != nil:
		return x.decide()
	case x.checkpoint != nil:
		x.report()
	default:
		x.talk()
	}
	return false
}

// useless gives up an item that nobody needs any more.
func (x *graphExecutor) useless(err error) bool {
	require.ErrorIs(x.world.t, err, stepwell.ErrConflict)
	x.world.dequeue(x.item.ID, x.generation)
	return true
}

func (x *graphExecutor) load() bool {
	w := x.world
	state := w.state()
	item, open := state.Run.Progress.OpenItem(x.item.ID)
	if !open {
		return x.useless(stepwell.ErrConflict)
	}
	x.call = &engine.Call{
		State: state, Item: item, Generation: x.generation, StartedAt: w.now, Jitter: 0.5, SystemRetryFor: graphGone,
	}
	if w.fault("the app is not reached") {
		x.unreached()
		return false
	}
	sent := sdk.Call{State: state, Item: item, Generation: x.generation}
	body, err := sent.Body()
	require.NoError(w.t, err)
	url, err := sent.URL()
	require.NoError(w.t, err)
	var call graphCall
	require.NoError(w.t, json.Unmarshal(body, &call))
	require.Len(w.t, call.Steps, len(call.Context.Stack.Stack))
	if target := url[strings.LastIndex(url, "=")+1:]; target != "step" {
		call.target = stepwell.StepID(target)
	}
	x.session = newGraphSession(call, w.sdk, w.program)
	x.session.clock = func() time.Time { return w.now }
	x.session.run = func(found graphFound) (string, bool) { return w.body(found, call.Context.Attempt) }
	return false
}

func (x *graphExecutor) unreached() {
	x.answer = &sdk.Response{Status: http.StatusBadGateway, Header: http.Header{}}
}

// talk lets the app go on until it says something.
func (x *graphExecutor) talk() {
	x.checkpoint, x.answer = x.session.next()
	switch {
	case x.answer == nil:
		x.world.note("%s reports %s", x.world.short(x.item.ID), x.checkpoint)
	case x.world.fault("the answer is lost"):
		x.unreached()
	default:
		x.world.note("%s answers %d %s", x.world.short(x.item.ID), x.answer.Status, x.answer.Body)
	}
}

// report commits the checkpoint. If the SDK does not hear of it, it reports again, or stops and answers what it has.
func (x *graphExecutor) report() {
	w := x.world
	ops, err := sdk.ParseOps(x.checkpoint, w.now)
	require.NoError(w.t, err)
	transition, err := engine.Checkpoint(x.item.ID, ops, w.now)
	require.NoError(w.t, err)
	transition.Generation = x.generation
	_, err = w.commit(transition)
	switch {
	case errors.Is(err, stepwell.ErrConflict):
		x.answer = x.session.respond(http.StatusBadRequest, `{"name":"Error","message":"stale dispatch"}`, "true")
	case err == nil && !w.fault("the answer to a checkpoint is lost"):
		x.checkpoint = nil
	case x.told > 0:
		x.answer = x.session.respond(http.StatusPartialContent, string(x.checkpoint), "")
	default:
		x.told++
	}
}

func (x *graphExecutor) decide() bool {
	w := x.world
	x.call.Outcome = sdk.Parse(*x.answer, w.now)
	x.call.EndedAt = w.now
	if x.call.Item.Attempt > 0 {
		var open bool
		x.call.State = w.state()
		if x.call.Item, open = x.call.State.Run.Progress.OpenItem(x.item.ID); !open {
			return x.useless(stepwell.ErrConflict)
		}
	}
	for _, op := range x.call.Outcome.Ops {
		if op.Code == stepwell.OpWaitForEvent {
			op.Wait.Shape, op.Wait.KeyHash = graphShape(op.Wait.Expression)
		}
	}
	decided := engine.Settle(*x.call)
	x.decided = &decided
	return false
}

// graphShape is what an expression of these tests compares.
func graphShape(expression string) (string, []byte) {
	number, compares := strings.CutPrefix(expression, "async.data.n == ")
	if !compares {
		return "", nil
	}
	value, _ := strconv.ParseFloat(number, 64)
	return stepwell.NewShape([]stepwell.Equality{{Path: []string{"data", "n"}, Value: value}})
}

func (x *graphExecutor) commit() bool {
	w := x.world
	committed, err := w.commit(*x.decided)
	if err != nil {
		return x.useless(err)
	}
	if w.fault("the store's answer is lost") {
		return false // it commits again
	}
	w.enqueue(committed.Opened)
	if w.fault("the queue does not hear of the end of an item") {
		return true
	}
	w.dequeue(x.item.ID, x.generation)
	for _, id := range committed.Dropped {
		w.dequeue(id, 0)
	}
	return true
}

// graphMatcher is a runner that looks at the waits for one event, in two steps.
type graphMatcher struct {
	world  *graphWorld
	event  stepwell.Event
	looked bool
	decide []stepwell.Transition
}

// act implements graphActor.
func (m *graphMatcher) act() bool {
	w := m.world
	if w.fault("runner dies") {
		return true
	}
	if !m.looked {
		m.looked = true
		waits, _, err := w.store.Waits(w.ctx, store.WaitQuery{Event: m.event, Limit: store.PageMax})
		require.NoError(w.t, err)
		for _, wait := range waits {
			if t, ok := w.match(wait, []stepwell.Event{m.event}); ok {
				m.decide = append(m.decide, t)
			}
		}
		return false
	}
	w.resume(m.decide)
	require.NoError(w.t, w.store.Routed(w.ctx, []stepwell.EventID{m.event.ID}))
	return true
}

// match is what the first of the events that fits changes.
func (w *graphWorld) match(wait stepwell.Wait, events []stepwell.Event) (stepwell.Transition, bool) {
	for _, event := range events {
		shape, hash := graphShape(wait.Expression)
		if string(stepwell.KeyHash(shape, event.Variables())) != string(hash) {
			continue
		}
		if t, ok := engine.Resume(w.state(), wait, event, event.AppendJSON(nil), w.now); ok {
			return t, true
		}
	}
	return stepwell.Transition{}, false
}

func (w *graphWorld) resume(transitions []stepwell.Transition) {
	for _, t := range transitions {
		if committed, err := w.commit(t); err == nil {
			w.enqueue(committed.Opened)
			w.dequeue(t.Settles, 0)
			for _, id := range committed.Dropped {
				w.dequeue(id, 0)
			}
		}
	}
}

// graphLooker is a runner that looks at the events which came before a wait, in two steps.
type graphLooker struct {
	world  *graphWorld
	back   store.LookBack
	looked bool
	decide []stepwell.Transition
}

// act implements graphActor.
func (l *graphLooker) act() bool {
	w := l.world
	if w.fault("runner dies") {
		return true
	}
	if !l.looked {
		l.looked = true
		if t, ok := w.match(l.back.Wait, l.back.Events); ok {
			l.decide = []stepwell.Transition{t}
		}
		return false
	}
	w.resume(l.decide)
	if len(l.decide) == 0 {
		l.back.Wait.Since = time.Time{}
		require.NoError(w.t, w.store.LookedBack(w.ctx, []stepwell.Wait{l.back.Wait}))
	}
	return true
}

// duties are what runners do now and then, if there is something to do.
func (w *graphWorld) duties() []func() {
	var duties []func()
	unrouted, err := w.store.UnroutedEvents(w.ctx, store.PageMax)
	require.NoError(w.t, err)
	for _, event := range unrouted {
		duties = append(duties, func() { w.actors = append(w.actors, &graphMatcher{world: w, event: event}) })
	}
	backs, err := w.store.LookBacks(w.ctx, store.PageMax)
	require.NoError(w.t, err)
	for _, back := range backs {
		duties = append(duties, func() { w.actors = append(w.actors, &graphLooker{world: w, back: back}) })
	}
	due, _, err := w.store.DueItems(w.ctx, store.DueQuery{Before: w.now, Limit: store.PageMax})
	require.NoError(w.t, err)
	for _, item := range due {
		if w.entry(item.ID) == nil {
			duties = append(duties, func() { w.putBack(item) })
		}
	}
	parked, err := w.store.ParkedItems(w.ctx, w.now.Add(stepwell.Horizon), store.PageMax)
	require.NoError(w.t, err)
	for _, item := range parked {
		duties = append(duties, func() {
			w.putBack(item)
			if !w.fault("runner dies before it unparks") {
				require.NoError(w.t, w.store.Unpark(w.ctx, []stepwell.ItemID{item.ID}))
			}
		})
	}
	return duties
}

// putBack puts an item into the queue whose lease may have been lost with it: its leases have numbers that were not used.
func (w *graphWorld) putBack(item stepwell.Item) {
	item.Parked = false
	if item.Kind == stepwell.ItemDiscovery || item.Kind == stepwell.ItemStep {
		w.losses++
		item.Generation += 1 + 100*w.losses
	}
	w.enqueue([]stepwell.Item{item})
}
