package e2e

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

func events() []scenario {
	return []scenario{
		{name: "event id twice", proves: proves(compatibility.EventIDs), play: eventTwice},
		{name: "idempotency key", proves: proves(compatibility.Idempotency), play: idempotencyKey},
		{name: "rate limit", proves: proves(compatibility.RateLimit), play: rateLimit},
		{name: "debounce", proves: proves(compatibility.Debounce), play: debounce},
		{name: "batches", proves: proves(compatibility.Batches), play: batches},
		{name: "singleton that skips", proves: proves(compatibility.SkipSingle), play: singletonSkips},
		{name: "singleton that cancels", proves: proves(compatibility.CancelOlder), play: singletonCancels},
		{name: "run starts too late", proves: proves(compatibility.Timeouts), play: startsLate},
		{name: "run ends too late", proves: proves(compatibility.Timeouts), play: endsLate},
		{name: "event ids keep order", proves: proves(compatibility.EventOrder), play: eventOrder},
		{name: "events by API", proves: proves(compatibility.EventDoors, compatibility.EventIDs), play: eventsByAPI},
	}
}

// echo is what the app's function of that name returns.
type echo struct {
	Name string
	ID   string
	Data map[string]any
}

func eventTwice(s *scene) {
	event := target.Event{Name: "e2e/echo", ID: "order-7-" + s.app.Name, Data: map[string]any{"n": 1}}
	first := s.send(event)[0]
	event.Data["n"] = 2
	second := s.send(event)[0]
	require.NotEqual(s, first, second, "each copy of an event is an event")
	run := s.runOf(first)
	require.Equal(s, run, s.runOf(second))
	echoed := decode[echo](s, s.output(run))
	require.Equal(s, echo{Name: "e2e/echo", ID: event.ID, Data: map[string]any{"n": 1.0}}, echoed)
	require.Len(s, s.executions(run), 1)
}

// idempotencyKey: a function starts once for each value of its key.
func idempotencyKey(s *scene) {
	order := func(to string, n int) target.Event {
		return target.Event{Name: "e2e/once", Data: map[string]any{"to": to + "-" + s.app.Name, "n": n}}
	}
	ada := s.runOf(s.send(order("ada", 1))[0])
	require.Equal(s, ada, s.runOf(s.send(order("ada", 2))[0]))
	bob := s.runOf(s.send(order("bob", 3))[0])
	require.NotEqual(s, ada, bob)
	require.JSONEq(s, `{"n":1}`, s.output(ada))
	require.JSONEq(s, `{"n":3}`, s.output(bob))
}

// rateLimit: what is beyond the limit is recorded, and not executed.
func rateLimit(s *scene) {
	var list []target.Event
	now := time.Now()
	for n := range 6 {
		customer := fmt.Sprintf("%s-%d", []string{"ada", "bob"}[n%2], now.UnixNano())
		list = append(list, target.Event{Name: "e2e/limited", Data: map[string]any{"customer": customer, "n": n}})
	}
	for n, event := range s.send(list...) {
		run := s.runOf(event)
		if n < 4 {
			require.JSONEq(s, fmt.Sprintf(`{"n":%d}`, n), s.output(run))
			continue
		}
		require.Equal(s, "Skipped", s.await(run, "Skipped").Status)
		require.Empty(s, s.executions(run))
	}
	again := s.runOf(s.send(list[0])[0])
	s.await(again, "Skipped")
}

// debounce: the last event of each document starts a run, the others are recorded.
func debounce(s *scene) {
	var list []target.Event
	now := time.Now()
	for n := range 4 {
		doc := fmt.Sprintf("%s-%d", []string{"a", "a", "a", "b"}[n], now.UnixNano())
		list = append(list, target.Event{Name: "e2e/debounced", Data: map[string]any{"doc": doc, "n": n}})
	}
	for n, event := range s.send(list...) {
		run := s.runOf(event)
		if n >= 2 {
			require.JSONEq(s, fmt.Sprintf(`{"n":%d,"count":1}`, n), s.output(run))
			continue
		}
		s.await(run, "Skipped")
		require.Empty(s, s.executions(run))
	}
}

// batches: three events at a time, and what is left when its time has come.
func batches(s *scene) {
	var list []target.Event
	now := time.Now().UnixNano()
	for n := range 8 {
		tenant := fmt.Sprintf("%s-%d", []string{"a", "b"}[n/7], now)
		list = append(list, target.Event{Name: "e2e/batched", Data: map[string]any{"tenant": tenant, "n": n}})
	}
	var runs []string
	for n, event := range s.send(list...) {
		runs = append(runs, s.runOf(event))
		require.Equal(s, runs[[]int{0, 0, 0, 3, 3, 3, 6, 7}[n]], runs[n])
	}
	for n, output := range map[int]string{
		0: `{"first":0,"all":[0,1,2]}`, 3: `{"first":3,"all":[3,4,5]}`, 6: `{"first":6,"all":[6]}`, 7: `{"first":7,"all":[7]}`,
	} {
		require.JSONEq(s, output, s.output(runs[n]))
	}
}

// singletonSkips: while a run is live, others of its key are skipped; when it has ended, one starts.
func singletonSkips(s *scene) {
	user := fmt.Sprintf("ada-%d", time.Now().UnixNano())
	data := map[string]any{"user": user}
	first := s.start("e2e/single", data)
	s.awaitStep(first, "end", "Open")
	other := s.start("e2e/single", map[string]any{"user": user + "'s brother"})
	second := s.start("e2e/single", data)
	s.await(second, "Skipped")
	require.Empty(s, s.executions(second))
	history, err := s.server.History(s.Context(), second)
	require.NoError(s, err)
	require.Equal(s, "Singleton", history.SkipReason)
	require.Equal(s, first, history.ExistingRunID)

	s.send(target.Event{Name: "e2e/single.end", Data: data})
	require.JSONEq(s, `"done"`, s.output(first))
	third := s.start("e2e/single", data)
	for _, run := range []string{third, other} {
		s.awaitStep(run, "end", "Open")
		require.NoError(s, s.server.Cancel(s.Context(), run))
	}
}

// singletonCancels: a newer run cancels the one before, also if their events come together.
func singletonCancels(s *scene) {
	data := map[string]any{"user": fmt.Sprintf("ada-%d", time.Now().UnixNano())}
	first := s.start("e2e/latest", data)
	s.awaitStep(first, "end", "Open")
	together := s.send(target.Event{Name: "e2e/latest", Data: data}, target.Event{Name: "e2e/latest", Data: data})
	s.await(first, target.Cancelled)
	s.await(s.runOf(together[0]), target.Cancelled)
	last := s.runOf(together[1])
	s.awaitStep(last, "end", "Open")
	s.send(target.Event{Name: "e2e/latest.end", Data: data})
	require.JSONEq(s, `"done"`, s.output(last))
}

func startsLate(s *scene) {
	late := s.send(target.Event{Name: "e2e/starts-late", TS: time.Now().Add(time.Minute).UnixMilli()})
	run := s.runOf(late[0])
	s.await(run, "Cancelled")
	require.Empty(s, s.executions(run))
}

func endsLate(s *scene) { s.await(s.start("e2e/ends-late", nil), "Cancelled") }

func eventOrder(s *scene) {
	var list []target.Event
	for n := range 10 {
		list = append(list, target.Event{Name: "e2e/echo", Data: map[string]any{"n": n}})
	}
	for n, id := range s.send(list...) {
		echoed := decode[echo](s, s.output(s.runOf(id)))
		require.EqualValues(s, n, echoed.Data["n"])
	}
}

// eventsByAPI: events start runs through whichever door they come, and copies of an event start one run even if they come
// through different ones.
func eventsByAPI(s *scene) {
	publish := func(id string, n int) string {
		ids, err := s.server.Publish(s.Context(), target.Event{Name: "e2e/echo", ID: id, Data: map[string]any{"n": n}})
		require.NoError(s, err)
		return s.runOf(ids[0])
	}
	for n := range 4 {
		id := fmt.Sprintf("api-%d-%s", n, s.app.Name)
		run := publish(id, n)
		require.Equal(s, run, publish(id, -1))
		require.EqualValues(s, n, decode[echo](s, s.output(run)).Data["n"])
		require.Len(s, s.executions(run), 1)
	}
}
