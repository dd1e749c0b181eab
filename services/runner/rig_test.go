package runner_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	runnerv1 "github.com/stepwell/stepwell/proto/gen/stepwell/runner/v1"
	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/queue/memqueue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/wire"
	"github.com/stepwell/stepwell/services/runner"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a runner with a store and a queue in memory.
type rig struct {
	*memstore.Store
	*memqueue.Queue
	t       *testing.T
	service *runner.Service
	log     *strings.Builder
	// between stands between the runner and the store, if a test puts something there.
	between *state
	syncs   int
}

// state lets a test stand between the runner and the store.
type state struct {
	runner.State
	ingest    func(ctx context.Context, requests []store.Ingest) ([]store.Ingested, error)
	functions func(ctx context.Context, environment stepwell.EnvironmentID, known int64) (store.Functions, error)
	dueItems  func(ctx context.Context, query store.DueQuery) ([]stepwell.Item, string, error)
	holders   func(ctx context.Context, places []stepwell.PlaceKey) ([]stepwell.RunID, error)
	ingests   atomic.Int64
}

func (s *state) Ingest(ctx context.Context, requests []store.Ingest) ([]store.Ingested, error) {
	s.ingests.Add(1)
	if s.ingest != nil {
		return s.ingest(ctx, requests)
	}
	return s.State.Ingest(ctx, requests)
}

func (s *state) Holders(ctx context.Context, places []stepwell.PlaceKey) ([]stepwell.RunID, error) {
	if s.holders != nil {
		return s.holders(ctx, places)
	}
	return s.State.Holders(ctx, places)
}

func (s *state) Functions(ctx context.Context, environment stepwell.EnvironmentID, known int64) (store.Functions, error) {
	if s.functions != nil {
		return s.functions(ctx, environment, known)
	}
	return s.State.Functions(ctx, environment, known)
}

func (s *state) DueItems(ctx context.Context, query store.DueQuery) ([]stepwell.Item, string, error) {
	if s.dueItems != nil {
		return s.dueItems(ctx, query)
	}
	return s.State.DueItems(ctx, query)
}

// producer is a queue that a test answers for.
type producer struct {
	runner.Queue
	enqueue func(ctx context.Context, now time.Time, items []stepwell.Item) error
}

func (p producer) Enqueue(ctx context.Context, now time.Time, items []stepwell.Item) error {
	return p.enqueue(ctx, now, items)
}

func newRig(t *testing.T, functions ...stepwell.Function) *rig {
	t.Helper()
	r := newRigWith(t, memstore.DefaultConfig(), nil)
	if len(functions) > 0 {
		r.sync(functions...)
	}
	return r
}

func newRigWith(t *testing.T, config memstore.Config, enqueue runner.Queue) *rig {
	t.Helper()
	r := &rig{Store: memstore.New(config), Queue: memqueue.New(), t: t, log: &strings.Builder{}}
	r.between = &state{State: r.Store}
	if enqueue == nil {
		enqueue = r.Queue
	}
	var err error
	r.service, err = runner.New(runner.DefaultConfig(), runner.Deps{
		State: r.between, Queue: enqueue,
		Log: r.logger(),
	})
	require.NoError(t, err)
	return r
}

func (r *rig) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func shop() stepwell.App {
	environment := stepwell.DefaultEnvironment()
	return stepwell.App{ID: stepwell.NewAppID(environment, "shop"), Environment: environment, Name: "shop"}
}

// on is a function of the shop that these triggers start; one with a space is a name and a condition.
func on(slug string, triggers ...string) stepwell.Function {
	function := stepwell.Function{
		ID: stepwell.NewFunctionID(shop().ID, slug), Slug: slug, App: shop().ID, Environment: shop().Environment,
	}
	for _, trigger := range triggers {
		name, condition, _ := strings.Cut(trigger, " ")
		function.Triggers = append(function.Triggers, stepwell.Trigger{Event: name, Expression: condition})
	}
	return function
}

// sync makes these the functions of the shop.
func (r *rig) sync(functions ...stepwell.Function) {
	r.t.Helper()
	r.syncs++
	app := shop()
	app.Checksum, app.SyncedAt = fmt.Sprint(r.syncs), time.Now()
	modified, err := r.SyncApp(r.t.Context(), app, functions)
	require.NoError(r.t, err)
	require.True(r.t, modified)
}

// event is an event of this name; data may be left out.
func event(name string, data ...string) stepwell.Event {
	now := time.Now().Truncate(time.Millisecond).UTC()
	e := stepwell.Event{
		ID: stepwell.EventID{ULID: ulid.Make()}, Environment: stepwell.DefaultEnvironment(), Name: name, Time: now,
		ReceivedAt: now, Data: json.RawMessage(`{}`), User: json.RawMessage(`{}`),
	}
	if len(data) > 0 {
		e.Data = json.RawMessage(data[0])
	}
	return e
}

// publish publishes through the gRPC method.
func (r *rig) publish(events ...stepwell.Event) error { return r.publishIn(r.t.Context(), events...) }

func (r *rig) publishIn(ctx context.Context, events ...stepwell.Event) error {
	_, err := r.service.Publish(ctx, &runnerv1.PublishRequest{Events: wire.Each(events, wire.Event)})
	return err
}

// started are the slugs of the functions that the event started, oldest version first.
func (r *rig) started(e stepwell.Event) []string {
	r.t.Helper()
	catalog, err := r.Functions(r.t.Context(), e.Environment, -1)
	require.NoError(r.t, err)
	slugs := []string{}
	for _, function := range catalog.Functions {
		runs, err := r.Runs(r.t.Context(), store.RunQuery{
			Environment: e.Environment, Event: e.ID, Function: function.ID, Limit: store.PageMax,
		})
		require.NoError(r.t, err)
		for range runs {
			slugs = append(slugs, function.Slug)
		}
	}
	return slugs
}

// starts publishes the event and returns the slugs of the functions that it started.
func (r *rig) starts(e stepwell.Event) []string {
	r.t.Helper()
	require.NoError(r.t, r.publish(e))
	return r.started(e)
}

func (r *rig) stats() queue.Stats {
	r.t.Helper()
	stats, err := r.Stats(r.t.Context(), time.Now())
	require.NoError(r.t, err)
	stats.OldestDueAt, stats.Shards = time.Time{}, nil
	return stats
}

// stored tells whether the event is in the store.
func (r *rig) stored(e stepwell.Event) bool {
	r.t.Helper()
	_, err := r.Event(r.t.Context(), e.Environment, e.ID)
	if err != nil {
		require.ErrorIs(r.t, err, stepwell.ErrNotFound)
	}
	return err == nil
}
