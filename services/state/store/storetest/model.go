package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// RunModel gives random commands to a driver and to an oracle, and compares all that they answer. The driver may hold
// other data: each check has an environment of its own. oracle returns an empty store.
func RunModel(t *testing.T, driver store.Store, oracle func() store.Store) {
	t.Helper()
	var checks atomic.Uint64
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(rt, t.Context(), driver, oracle(), checks.Add(1))
		rt.Repeat(map[string]func(*rapid.T){
			"ingest": m.ingest, "commit": m.commit, "claim": m.claim, "unpark": m.unpark, "sync": m.sync, "hold": m.hold,
			"fire": m.fire, "compare": m.compare,
		})
		m.compare(rt)
		m.fireAt(rt, m.now.Add(time.Minute)) // so that the next check does not see them
	})
}

// model is what the commands are drawn from.
type model struct {
	ctx         context.Context //nolint:containedctx // lives as long as the check
	both        [2]store.Store
	environment stepwell.EnvironmentID
	app         stepwell.App
	function    stepwell.Function
	now         time.Time
	revision    int64
	events      []stepwell.Event
	runs        []stepwell.Run
	// items are all that were ever open.
	items []stepwell.Item
}

func newModel(t *rapid.T, ctx context.Context, driver, oracle store.Store, check uint64) *model {
	m := &model{ctx: ctx, both: [2]store.Store{oracle, driver}, now: epoch().Add(time.Duration(check) * time.Hour)}
	m.environment = stepwell.EnvironmentID{UUID: uuid.NewSHA1(uuid.Nil, fmt.Appendf(nil, "%d", check))}
	m.app = stepwell.App{ID: stepwell.NewAppID(m.environment, "shop"), Environment: m.environment, Name: "shop"}
	m.function = stepwell.Function{
		ID: stepwell.NewFunctionID(m.app.ID, "f"), Environment: m.environment, App: m.app.ID, Slug: "shop-f", Name: "f",
	}
	m.sync(t)
	return m
}

// each asks both stores and requires the same answer.
func each[Answer any](t *rapid.T, m *model, ask func(store.Store) (Answer, error)) Answer {
	want, wantErr := ask(m.both[0])
	got, gotErr := ask(m.both[1])
	require.Equal(t, kindOf(wantErr), kindOf(gotErr), "%v and %v", wantErr, gotErr)
	require.Empty(t, cmp.Diff(want, got, cmp.Comparer(sameError), cmpopts.EquateEmpty()))
	return want
}

// kindOf is the sentinel that an error is: drivers word them differently.
func kindOf(err error) error {
	for _, kind := range []error{stepwell.ErrNotFound, stepwell.ErrConflict, stepwell.ErrStale, stepwell.ErrTooLarge} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return err
}

func sameError(a, b error) bool { return errors.Is(kindOf(a), kindOf(b)) }

func (m *model) sync(t *rapid.T) {
	m.app.Checksum = rapid.SampledFrom([]string{"1", "2"}).Draw(t, "checksum")
	m.app.SyncedAt = m.now
	m.function.Retries = len(m.app.Checksum)
	each(t, m, func(s store.Store) (bool, error) {
		return s.SyncApp(m.ctx, m.app, []stepwell.Function{m.function})
	})
	catalog := each(t, m, func(s store.Store) (store.Functions, error) { return s.Functions(m.ctx, m.environment, -1) })
	m.revision = catalog.Revision
}

// hold holds the function, or another that there is not.
func (m *model) hold(t *rapid.T) {
	function := rapid.SampledFrom([]stepwell.FunctionID{m.function.ID, {}}).Draw(t, "function")
	hold := rapid.SampledFrom([]stepwell.Hold{stepwell.HoldNone, stepwell.HoldSkip}).Draw(t, "hold")
	each(t, m, func(s store.Store) (bool, error) { return true, s.HoldFunction(m.ctx, m.environment, function, hold) })
	m.revision = each(t, m, func(s store.Store) (store.Functions, error) { return s.Functions(m.ctx, m.environment, -1) }).Revision
}

func (m *model) ingest(t *rapid.T) {
	var requests []store.Ingest
	for range rapid.IntRange(1, 3).Draw(t, "requests") {
		request := store.Ingest{Environment: m.environment, Revision: m.revision, Now: m.now}
		if rapid.IntRange(0, 9).Draw(t, "stale") == 0 {
			request.Revision--
		}
		request.Unrouted = rapid.IntRange(0, 9).Draw(t, "unrouted") == 0
		for range rapid.IntRange(0, 3).Draw(t, "events") {
			event := m.event(t)
			in := store.IngestEvent{Event: event}
			if !request.Unrouted {
				in.Starts = []stepwell.RunStart{m.start(event)}
				if rapid.IntRange(0, 4).Draw(t, "transition") == 0 && len(m.items) > 0 {
					in.Transitions = []stepwell.Transition{m.transition(t)}
				}
			}
			request.Events = append(request.Events, in)
		}
		if !request.Unrouted {
			request.Cancels = m.cancels(t, request)
		}
		requests = append(requests, request)
	}
	results := each(t, m, func(s store.Store) ([]store.Ingested, error) {
		results, err := s.Ingest(m.ctx, requests)
		for _, result := range results {
			// They have no order among different runs.
			slices.SortFunc(result.Opened, func(a, b stepwell.Item) int { return strings.Compare(string(a.ID), string(b.ID)) })
			slices.Sort(result.Dropped)
		}
		return results, err
	})
	for _, result := range results {
		m.items = append(m.items, result.Opened...)
	}
}

// cancels are those of runs that may have places: of most that do, and of those that the request starts.
func (m *model) cancels(t *rapid.T, request store.Ingest) []stepwell.Transition {
	var cancels []stepwell.Transition
	for _, in := range request.Events {
		for _, start := range in.Starts {
			if start.Place == nil {
				continue
			}
			holders := each(t, m, func(s store.Store) ([]stepwell.RunID, error) {
				return s.Holders(m.ctx, []stepwell.PlaceKey{start.PlaceKey()})
			})
			for _, run := range append(holders, start.Run.ID) {
				if rapid.IntRange(0, 4).Draw(t, "cancel") > 0 {
					cancel := cancelled(run)
					cancel.Environment, cancel.At = m.environment, m.now
					cancel.End.DeferCount = max(0, rapid.IntRange(-4, 1).Draw(t, "deferred"))
					cancels = append(cancels, cancel)
				}
			}
		}
	}
	return cancels
}

// event is a new event, with a key that may have been used, or one that was published before.
func (m *model) event(t *rapid.T) stepwell.Event {
	if len(m.events) > 0 && rapid.IntRange(0, 3).Draw(t, "again") == 0 {
		return rapid.SampledFrom(m.events).Draw(t, "event")
	}
	m.now = m.now.Add(time.Millisecond)
	id, err := ulid.New(ulid.Timestamp(m.now), nil)
	require.NoError(t, err)
	event := stepwell.Event{
		ID: stepwell.EventID{ULID: id}, Environment: m.environment, Name: "a/b", Data: json.RawMessage(`{"n": 1}`),
		Key:  rapid.SampledFrom([]string{"", "k1", "k2"}).Draw(t, "key"),
		User: json.RawMessage(`{}`), Time: m.now, ReceivedAt: m.now,
	}
	m.events = append(m.events, event)
	return event
}

func (m *model) start(event stepwell.Event) stepwell.RunStart {
	run := stepwell.Run{
		ID:          stepwell.NewRunID(event.ID.Timestamp(), m.function.ID, event.ID.String()),
		Environment: m.environment, Function: m.function.ID, FunctionVersion: 1, Events: []stepwell.EventID{event.ID},
		EventName: event.Name, CreatedAt: event.ReceivedAt,
		Progress: stepwell.Progress{RequestVersion: stepwell.RequestVersionUnknown, DiscoveryCount: 1},
	}
	run.Progress.Open = []stepwell.Item{stepwell.NewDiscovery(run, 1, event.ReceivedAt)}
	if !slices.ContainsFunc(m.runs, func(known stepwell.Run) bool { return known.ID == run.ID }) {
		m.runs = append(m.runs, run)
	}
	start := stepwell.RunStart{Run: run, Key: event.PublicID()}
	if event.ReceivedAt.UnixMilli()%3 == 0 {
		start.Rate = &stepwell.Rate{Key: event.Key, Limit: 2, Period: 30 * time.Millisecond}
	}
	if n := event.ReceivedAt.UnixMilli() % 5; n < 3 {
		start.Place = &stepwell.Place{Key: event.Key, Takes: n > 0}
	}
	if event.ReceivedAt.UnixMilli()%7 == 0 {
		start.Run = run.Skipped(stepwell.SkipDrained)
	}
	if start.Buffering = buffering(event); start.Buffering != nil {
		start.Place = nil // it takes one when it starts
	}
	return start
}

// buffering is how some events wait.
func buffering(event stepwell.Event) *stepwell.Buffering {
	var with stepwell.Buffering
	n := event.ReceivedAt.UnixMilli()
	switch n % 5 {
	case 0:
		with = debounce("")
		with.Within = 8 * time.Millisecond
	case 1, 2:
		with = batch(event.Key, 3)
	default:
		return nil
	}
	with.For, with.EventTime = 5*time.Millisecond, event.ReceivedAt.Add(-time.Duration(n%3)*4*time.Millisecond)
	return &with
}

// fire fires what is due, or will be soon.
func (m *model) fire(t *rapid.T) {
	m.fireAt(t, m.now.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "ahead"))*time.Millisecond))
}

func (m *model) fireAt(t *rapid.T, at time.Time) {
	due := each(t, m, func(s store.Store) ([]store.DueBuffer, error) {
		due, _, err := s.DueBuffers(m.ctx, at, store.PageMax)
		return slices.DeleteFunc(due, func(b store.DueBuffer) bool { return b.Run.Environment != m.environment }), err
	})
	for _, buffer := range due {
		request := firing(buffer, at)
		request.Revision = m.revision
		if buffer.Batch {
			request.Fires[0].Start.Place = &stepwell.Place{}
		}
		results := each(t, m, func(s store.Store) ([]store.Ingested, error) { return s.Ingest(m.ctx, []store.Ingest{request}) })
		m.items = append(m.items, results[0].Opened...)
	}
}

func (m *model) commit(t *rapid.T) {
	if len(m.items) == 0 {
		return
	}
	var transitions []stepwell.Transition
	for range rapid.IntRange(1, 4).Draw(t, "transitions") {
		transitions = append(transitions, m.transition(t))
	}
	results := each(t, m, func(s store.Store) ([]store.Committed, error) { return s.Commit(m.ctx, transitions) })
	for _, result := range results {
		m.items = append(m.items, result.Opened...)
	}
}

// transition is one as the engine may decide it, of an item that may be settled already.
func (m *model) transition(t *rapid.T) stepwell.Transition {
	item := rapid.SampledFrom(m.items).Draw(t, "item")
	m.now = m.now.Add(time.Millisecond)
	result := stepwell.Transition{
		Run: item.Run, Settles: item.ID, At: m.now, Generation: rapid.IntRange(0, 2).Draw(t, "generation"),
		Keep: rapid.IntRange(0, 5).Draw(t, "keep") == 0, RequestVersion: 2,
	}
	if item.Kind != stepwell.ItemDiscovery {
		result.Records = append(result.Records, recorded(item.Step, `1`))
	}
	step := rapid.SampledFrom([]stepwell.StepID{"a", "b", "c", "d"})
	for _, id := range rapid.SliceOfN(step, 0, 2).Draw(t, "records") {
		done := recorded(id, rapid.SampledFrom([]string{`1`, `"x"`}).Draw(t, "data"))
		done.OpenedAt, done.StartedAt, done.EndedAt = m.now, m.now, m.now
		result.Records = append(result.Records, done)
	}
	if rapid.IntRange(0, 3).Draw(t, "defer") == 0 {
		result.Records = append(result.Records, deferral(rapid.SampledFrom([]stepwell.StepID{"later", "latest"}).Draw(t, "deferral"), `{}`))
	}
	if result.Keep {
		return result
	}
	result.Attempt = &stepwell.Attempt{Item: item.ID, StartedAt: m.now, EndedAt: m.now, HTTPStatus: 206}
	run := stepwell.Run{ID: item.Run, Function: m.function.ID}
	for _, id := range rapid.SliceOfN(step, 0, 2).Draw(t, "opens") {
		o := opening(run, id)
		o.Step.OpenedAt = m.now
		o.Item.Race = rapid.Bool().Draw(t, "race")
		result.Opens = append(result.Opens, o)
	}
	switch rapid.IntRange(0, 9).Draw(t, "end") {
	case 0:
		result.End = &stepwell.End{
			Status: stepwell.RunCompleted, Output: json.RawMessage(`"done"`), DeferCount: rapid.IntRange(0, 2).Draw(t, "deferred"),
		}
	case 1:
		retry := item.Next(m.now.Add(rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour}).Draw(t, "backoff")))
		if rapid.Bool().Draw(t, "unreached") {
			retry.Forgiven, retry.UnreachedSince = retry.Forgiven+1, m.now
		}
		result.Retry, result.Records = &retry, nil
	}
	return result
}

func (m *model) claim(t *rapid.T) {
	if len(m.items) == 0 {
		return
	}
	item, generation := rapid.SampledFrom(m.items).Draw(t, "item"), rapid.IntRange(1, 3).Draw(t, "generation")
	began := rapid.SampledFrom([]time.Time{{}, m.now}).Draw(t, "began")
	each(t, m, func(s store.Store) (bool, error) { return true, s.Claim(m.ctx, item.ID, generation, began) })
}

// unpark unparks an item, which may be parked, open or settled.
func (m *model) unpark(t *rapid.T) {
	if len(m.items) == 0 {
		return
	}
	item := rapid.SampledFrom(m.items).Draw(t, "item").ID
	each(t, m, func(s store.Store) (bool, error) { return true, s.Unpark(m.ctx, []stepwell.ItemID{item}) })
}

// compare asks for everything.
func (m *model) compare(t *rapid.T) {
	for _, run := range m.runs {
		each(t, m, func(s store.Store) (stepwell.RunHistory, error) {
			history, err := s.RunHistory(m.ctx, m.environment, run.ID)
			slices.SortFunc(history.Steps, func(a, b stepwell.Step) int { return strings.Compare(string(a.ID), string(b.ID)) })
			slices.SortFunc(history.Attempts, func(a, b stepwell.Attempt) int { return strings.Compare(string(a.Item), string(b.Item)) })
			return history, err
		})
	}
	for _, event := range m.events {
		each(t, m, func(s store.Store) (stepwell.Event, error) { return s.Event(m.ctx, m.environment, event.ID) })
		each(t, m, func(s store.Store) ([]stepwell.Run, error) {
			return s.Runs(m.ctx, store.RunQuery{Environment: m.environment, Event: event.ID, Limit: 10})
		})
	}
	each(t, m, func(s store.Store) ([]stepwell.RunState, error) {
		var states []stepwell.RunState
		for _, run := range m.runs {
			state, err := store.LoadRun(m.ctx, s, run.ID)
			if errors.Is(err, stepwell.ErrNotFound) {
				continue // it waits in a buffer, or its event is in the batch of another
			}
			if err != nil {
				return nil, err
			}
			states = append(states, state)
		}
		return states, nil
	})
	each(t, m, func(s store.Store) ([]stepwell.Run, error) {
		return s.Runs(m.ctx, store.RunQuery{
			Environment: m.environment, Statuses: []stepwell.RunStatus{stepwell.RunCompleted}, Limit: 3,
		})
	})
	each(t, m, func(s store.Store) ([]stepwell.Event, error) {
		return s.Events(m.ctx, store.EventQuery{Environment: m.environment, Limit: 5})
	})
}
