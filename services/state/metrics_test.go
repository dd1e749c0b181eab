package state_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	statev1 "github.com/stepwell/stepwell/proto/gen/stepwell/state/v1"
	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry/telemetrytest"
	"github.com/stepwell/stepwell/services/internal/wire"
	"github.com/stepwell/stepwell/services/state"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/memstore"
)

// TestCommitsThatComeTooLateAreCounted (I11, I12), and told from matches that lose, as they may.
func TestCommitsThatComeTooLateAreCounted(t *testing.T) {
	t.Parallel()
	telemeter, seen := telemetrytest.New(t)
	kept := memstore.New(memstore.DefaultConfig())
	service, err := state.New(state.Deps{Store: kept, Telemetry: telemeter})
	require.NoError(t, err)
	now := time.Now()
	event := stepwell.Event{
		ID: stepwell.EventID{ULID: ulid.Make()}, Environment: stepwell.DefaultEnvironment(), Name: "a", Time: now, ReceivedAt: now,
		Data: json.RawMessage(`{}`), User: json.RawMessage(`{}`),
	}
	function := stepwell.Function{ID: stepwell.NewFunctionID(stepwell.AppID{}, "f"), Environment: event.Environment, Version: 1}
	start := engine.Start(function, event, now)
	_, err = kept.Ingest(t.Context(), []store.Ingest{{
		Environment: event.Environment, Now: now, Events: []store.IngestEvent{{Event: event, Starts: []stepwell.RunStart{start}}},
	}})
	require.NoError(t, err)
	item := start.Run.Progress.Open[0]
	commit := func(ts ...stepwell.Transition) {
		t.Helper()
		_, err := service.Commit(t.Context(), &statev1.CommitRequest{Transitions: wire.Each(ts, wire.Transition)})
		require.NoError(t, err)
	}
	wait := stepwell.NewStepItem(start.Run, stepwell.ItemTimeout, "w", now.Add(time.Hour))
	settled := stepwell.Transition{
		Run: start.Run.ID, Settles: item.ID, Generation: 2, At: now, Opens: []stepwell.Opening{{
			Step: stepwell.Step{ID: "w", Kind: stepwell.StepWaitForEvent, OpenedAt: now}, Item: wait,
			Wait: &stepwell.Wait{Run: start.Run.ID, Environment: event.Environment, Item: wait, Name: "b"},
		}},
	}
	commit(settled)
	commit(settled, stepwell.Transition{Run: start.Run.ID, Settles: item.ID, At: now})
	commit(stepwell.Transition{Run: stepwell.RunID{ULID: ulid.Make()}, Settles: item.ID, Generation: 1, At: now})
	_, err = service.Claim(t.Context(), &statev1.ClaimRequest{ItemId: string(item.ID), Generation: 1})
	require.ErrorIs(t, err, stepwell.ErrConflict)
	for series, want := range map[string]float64{
		`stepwell_transitions_total{result="committed"}`: 1, `stepwell_transitions_total{result="conflict"}`: 2,
		`stepwell_transitions_total{result="not_found"}`: 1, "stepwell_fenced_commit_rejected_total": 2,
		`stepwell_waits_registered_total{kind="event"}`: 1,
	} {
		require.InDelta(t, want, seen.Value(t, series), 0, series)
	}

	other := event
	other.ID = stepwell.EventID{ULID: ulid.Make()}
	_, err = service.Ingest(t.Context(), &statev1.IngestRequest{Requests: []*statev1.Ingest{{
		EnvironmentId: wire.UUID(event.Environment.UUID), Unrouted: true, Time: wire.Time(now),
		Events: []*statev1.IngestEvent{{Event: wire.Event(other)}},
	}}})
	require.NoError(t, err)
	require.InDelta(t, 1, seen.Value(t, `stepwell_events_stored_total{routed="false"}`), 0)
}
