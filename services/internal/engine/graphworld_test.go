package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/memstore"
)

// TestGraphs runs random functions by random schedules: whatever is delivered twice, lost, late or done at the same
// time, the run ends, as the function's code says (I5, I8, I10, I11, I12, I13, I15).
func TestGraphs(t *testing.T) {
	t.Parallel()
	for _, kind := range graphSDKs() {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				w := newGraphWorld(rt, t.Context(), kind)
				for n := 0; !w.over(); n++ {
					require.Less(rt, n, graphActionsMax, "I8: the run does not end\n%s", w.describe())
					w.act()
				}
				w.judge()
			})
		})
	}
}

// graphActionsMax is more than any run needs.
const graphActionsMax = 5000

// graphWorld is one run, with everything around the engine in small: a queue, executors, a runner, publishers and an app.
// Each acts in steps, and the next one to act is drawn.
type graphWorld struct {
	t        *rapid.T
	ctx      context.Context //nolint:containedctx // lives as long as the check
	store    *memstore.Store
	sdk      graphSDK
	program  *graphNode
	function stepwell.Function
	run      stepwell.RunID
	now      time.Time
	// queue holds what was enqueued, in that order.
	queue []*graphEntry
	// actors are executors that hold a lease, and runners in the middle of something.
	actors []graphActor
	// faults is how many may still happen; losses how often items were put back.
	faults, losses int
	// outside are the events that somebody will publish.
	outside []stepwell.Event
	// yields are the values that bodies of steps yielded; runs counts bodies.
	yields map[stepwell.StepID][]string
	runs   int
	events int
	record graphRecord
	log    []string
}

// graphActor is somebody in the middle of something. act does the next step and tells whether that was the last.
type graphActor interface {
	act() (done bool)
}

// graphEntry is an item in the queue.
type graphEntry struct {
	item       stepwell.Item
	generation int
	leased     bool
}

func newGraphWorld(t *rapid.T, ctx context.Context, kind graphSDK) *graphWorld {
	w := &graphWorld{t: t, ctx: ctx, store: memstore.New(memstore.DefaultConfig()), sdk: kind, now: epoch()}
	w.program = drawGraph(t)
	w.faults = rapid.IntRange(0, 12).Draw(t, "faults")
	w.yields = map[stepwell.StepID][]string{}
	w.record = newGraphRecord()
	environment := stepwell.DefaultEnvironment()
	app := stepwell.App{
		ID: stepwell.NewAppID(environment, "shop"), Environment: environment, Name: "shop", SDK: w.sdk.name,
	}
	w.function = stepwell.Function{
		ID: stepwell.NewFunctionID(app.ID, "f"), Slug: "f", App: app.ID, Environment: environment,
		URL: "http://app/api/inngest?fnId=f&stepId=step", Version: 1, Retries: graphAttempts - 1,
	}
	_, err := w.store.SyncApp(ctx, app, []stepwell.Function{w.function})
	require.NoError(t, err)
	for range rapid.IntRange(0, 3).Draw(t, "outside") {
		name := rapid.SampledFrom([]string{"any/a", "any/b"}).Draw(t, "event")
		w.outside = append(w.outside, w.event(name, rapid.IntRange(1, 2).Draw(t, "number")))
	}
	w.start()
	return w
}

func (w *graphWorld) start() {
	trigger := w.event("order/paid", 0)
	trigger.ID = w.eventID()
	start := engine.Start(w.function, trigger, w.now)
	w.run = start.Run.ID
	w.ingest(store.IngestEvent{Event: trigger, Starts: []stepwell.RunStart{start}})
}

// event is one that gets its id when it is published.
func (w *graphWorld) event(name string, number int) stepwell.Event {
	return stepwell.Event{
		Environment: stepwell.DefaultEnvironment(), Name: name, Time: epoch(), ReceivedAt: epoch(),
		Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, number)), User: json.RawMessage(`{}`),
	}
}

func (w *graphWorld) eventID() stepwell.EventID {
	w.events++
	id, err := ulid.New(ulid.Timestamp(w.now), nil)
	require.NoError(w.t, err)
	id[14], id[15] = byte(w.events>>8), byte(w.events)
	return stepwell.EventID{ULID: id}
}

// publish stores an event as a runner does. Somebody may publish it once more.
func (w *graphWorld) publish(event stepwell.Event) {
	if event.ID == (stepwell.EventID{}) {
		event.ID, event.ReceivedAt, event.Time = w.eventID(), w.now, w.now
	}
	w.note("publish %s %s", event.Name, event.Data)
	w.ingest(store.IngestEvent{Event: event})
	if w.fault("published twice") {
		w.outside = append(w.outside, event)
	}
}

func (w *graphWorld) ingest(in store.IngestEvent) {
	results, err := w.store.Ingest(w.ctx, []store.Ingest{{
		Environment: stepwell.DefaultEnvironment(), Revision: 1, Now: w.now, Events: []store.IngestEvent{in},
	}})
	require.NoError(w.t, err)
	require.NoError(w.t, results[0].Err)
	w.enqueue(results[0].Opened)
	if len(results[0].Awaited) > 0 && !w.fault("runner dies after storing an event") {
		w.actors = append(w.actors, &graphMatcher{world: w, event: in.Event})
	}
}

// enqueue puts items into the queue, unless they are parked or there.
func (w *graphWorld) enqueue(items []stepwell.Item) {
	for _, item := range stepwell.Unparked(items) {
		if w.entry(item.ID) == nil {
			w.queue = append(w.queue, &graphEntry{item: item, generation: item.Generation})
		}
	}
}

func (w *graphWorld) entry(id stepwell.ItemID) *graphEntry {
	i := slices.IndexFunc(w.queue, func(e *graphEntry) bool { return e.item.ID == id })
	if i < 0 {
		return nil
	}
	return w.queue[i]
}

// dequeue takes an item out of the queue; generation 0 takes it whoever holds it.
func (w *graphWorld) dequeue(id stepwell.ItemID, generation int) {
	w.queue = slices.DeleteFunc(w.queue, func(e *graphEntry) bool {
		return e.item.ID == id && (generation == 0 || e.generation == generation)
	})
}

// fault draws whether something goes wrong here.
func (w *graphWorld) fault(what string) bool {
	if w.faults == 0 || rapid.IntRange(0, 9).Draw(w.t, "fault") != 0 {
		return false
	}
	w.faults--
	w.note("fault: %s", what)
	return true
}

// act draws what happens next, and lets it happen.
func (w *graphWorld) act() {
	w.now = w.now.Add(time.Millisecond)
	actions := w.actions()
	if len(actions) == 0 {
		w.pass()
		return
	}
	actions[rapid.IntRange(0, len(actions)-1).Draw(w.t, "action")]()
}

func (w *graphWorld) actions() []func() {
	var actions []func()
	for _, e := range w.queue {
		if !e.item.DueAt.After(w.now) && !e.leased {
			actions = append(actions, func() { w.lease(e) })
		}
	}
	for _, actor := range w.actors {
		actions = append(actions, func() {
			if actor.act() {
				w.actors = slices.DeleteFunc(w.actors, func(a graphActor) bool { return a == actor })
			}
		})
	}
	if len(w.outside) > 0 {
		actions = append(actions, func() {
			event := w.outside[0]
			w.outside = w.outside[1:]
			w.publish(event)
		})
	}
	actions = append(actions, w.duties()...)
	if w.faults > 0 && len(w.queue) > 0 {
		actions = append(actions, w.disturb)
	}
	return actions
}

// disturb lets a lease expire while its holder goes on, or loses an item of the queue.
func (w *graphWorld) disturb() {
	e := rapid.SampledFrom(w.queue).Draw(w.t, "disturbed")
	w.faults--
	if rapid.Bool().Draw(w.t, "lose") {
		w.note("fault: %s is lost in the queue", w.short(e.item.ID))
		w.dequeue(e.item.ID, 0)
		return
	}
	w.note("fault: lease %d of %s expires", e.generation, w.short(e.item.ID))
	e.leased = false
}

func (w *graphWorld) lease(e *graphEntry) {
	e.leased = true
	e.generation++
	w.note("lease %d of %s", e.generation, w.short(e.item.ID))
	w.actors = append(w.actors, &graphExecutor{world: w, item: e.item, generation: e.generation})
}

// pass lets time go by until something is due.
func (w *graphWorld) pass() {
	var next time.Time
	earlier := func(at time.Time) {
		if at.After(w.now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, e := range w.queue {
		earlier(e.item.DueAt)
	}
	for _, item := range w.state().Run.Progress.Open {
		earlier(item.DueAt)
	}
	require.False(w.t, next.IsZero(), "I7: nothing is due, ever\n%s", w.describe())
	w.now = next
	w.note("it is +%s", next.Sub(epoch()))
}

// over tells whether the run has ended and nobody is in the middle of anything.
func (w *graphWorld) over() bool {
	return len(w.actors) == 0 && w.state().Run.Status.Ended()
}

func (w *graphWorld) state() stepwell.RunState {
	state, err := store.LoadRun(w.ctx, w.store, w.run)
	require.NoError(w.t, err)
	return state
}

// body runs a step's body.
func (w *graphWorld) body(found graphFound, attempt int) (value string, failed bool) {
	w.runs++
	if attempt < found.node.fails {
		return "", true
	}
	if found.node.event != "" {
		w.publish(w.event(found.node.event, 1))
	}
	value = quoted(fmt.Sprintf("%s#%s#%d", found.node.id, found.id, w.runs))
	w.yields[found.id] = append(w.yields[found.id], value)
	return value, false
}

// commit commits, and looks at what became of the run.
func (w *graphWorld) commit(t stepwell.Transition) (store.Committed, error) {
	before := w.state()
	results, err := w.store.Commit(w.ctx, []stepwell.Transition{t})
	require.NoError(w.t, err)
	w.note("commit of %s: %v", w.short(t.Settles), results[0].Err)
	w.record.look(w, before, t, results[0])
	return results[0], results[0].Err
}

func (w *graphWorld) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

// short is an item without its run, its step's id cut.
func (w *graphWorld) short(id stepwell.ItemID) string {
	text := strings.TrimPrefix(string(id), w.run.String()+".")
	if target, attempt, found := strings.Cut(text, "."); found && len(target) > 8 {
		return target[:8] + "." + attempt
	}
	return text
}

// describe is everything that happened.
func (w *graphWorld) describe() string {
	return fmt.Sprintf("%s\n%s\n%s", w.sdk, w.program, strings.Join(w.log, "\n"))
}
