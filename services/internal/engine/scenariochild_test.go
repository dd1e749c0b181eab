package engine_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

func (s *scenario) listen(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	environment := stepwell.DefaultEnvironment()
	app := stepwell.App{ID: stepwell.NewAppID(environment, "log"), Environment: environment, Name: "log"}
	function := stepwell.Function{ID: stepwell.NewFunctionID(app.ID, "log-all"), Slug: "log-all", App: app.ID, Environment: environment}
	names := []string{stepwell.EventFinished, stepwell.EventFailed, stepwell.EventCancelled}
	if d.HasArg("deferred") {
		names = []string{stepwell.EventDeferred}
	}
	for _, name := range names {
		function.Triggers = append(function.Triggers, stepwell.Trigger{Event: name})
	}
	_, err := s.store.SyncApp(t.Context(), app, []stepwell.Function{function})
	require.NoError(t, err)
	return "ok\n"
}

func (s *scenario) late(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	cancel := engine.Cancel(s.load(t), s.now, engine.AllHeard())
	return s.checkpoint(t, d) + s.commit(t, cancel)
}

func (s *scenario) unrouted(t *testing.T) []stepwell.Event {
	t.Helper()
	events, err := s.store.UnroutedEvents(t.Context(), 10)
	require.NoError(t, err)
	return events
}

func (s *scenario) emitted(t *testing.T, _ *datadriven.TestData) string {
	t.Helper()
	var b strings.Builder
	for _, event := range s.unrouted(t) {
		fmt.Fprintf(&b, "%s %q %s\n", event.Name, s.short(event.Key), s.short(string(event.Data)))
	}
	return b.String()
}

// child starts what the first of the emitted events invokes, as a run of the same function, and settles its first call.
func (s *scenario) child(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	event := s.unrouted(t)[0]
	slug, invokes := engine.Invokes(event)
	require.True(t, invokes)
	require.Equal(t, "shop-charge", slug)
	catalog, err := s.store.Functions(t.Context(), event.Environment, -1)
	require.NoError(t, err)
	start := engine.Start(catalog.Functions[len(catalog.Functions)-1], event, s.now)
	results, err := s.store.Ingest(t.Context(), []store.Ingest{{
		Environment: event.Environment, Revision: catalog.Revision, Now: s.now,
		Events: []store.IngestEvent{{Event: event, Starts: []stepwell.RunStart{start}}},
	}})
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
	state, err := store.LoadRun(t.Context(), s.store, start.Run.ID)
	require.NoError(t, err)
	response := sdk.Response{Status: http.StatusOK, Header: http.Header{}, Body: []byte(d.Input)}
	response.Header.Set(sdk.HeaderSDK, "js:v4.24.0")
	for _, arg := range d.CmdArgs {
		if arg.Key == "status" {
			response.Status = argument(t, d, "status", strconv.Atoi)
		} else {
			response.Header.Set(arg.Key, arg.Vals[0])
		}
	}
	return s.commit(t, engine.Settle(engine.Call{
		State: state, Item: start.Run.Progress.Open[0], Outcome: sdk.Parse(response, s.now), StartedAt: s.now, EndedAt: s.now,
	}))
}
