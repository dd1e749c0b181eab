package memstore_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/memstore"
)

func TestMemoryStaysBounded(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		config memstore.Config
		kept   int
	}{
		"by runs":  {memstore.Config{RunsMax: 10, LiveRunsMax: 1000, BytesMax: 1 << 30}, 10},
		"by bytes": {memstore.Config{RunsMax: 1000, LiveRunsMax: 1000, BytesMax: 25_000}, 20},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := memstore.New(test.config)
			live := startRun(t, s, 0)
			for n := 1; n <= 100; n++ {
				endRun(t, s, startRun(t, s, n))
			}
			runs, err := s.Runs(t.Context(), store.RunQuery{Environment: live.Environment, Limit: 1000})
			require.NoError(t, err)
			require.InDelta(t, test.kept+1, len(runs), 2)
			require.Equal(t, live.ID, runs[len(runs)-1].ID, "the live run is the oldest and stays")
			require.Equal(t, runID(100), runs[0].ID, "the newest stays")
			events, err := s.Events(t.Context(), store.EventQuery{Environment: live.Environment, Limit: 1000})
			require.NoError(t, err)
			require.Less(t, len(events), 2*test.kept+2)
			_, err = store.LoadRun(t.Context(), s, live.ID)
			require.NoError(t, err)
		})
	}
}

func TestNoRoomForMoreLiveRuns(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{RunsMax: 10, LiveRunsMax: 2, BytesMax: 1 << 20})
	first := startRun(t, s, 1)
	startRun(t, s, 2)
	require.ErrorIs(t, ingest(t, s, 3).Err, stepwell.ErrUnavailable)
	endRun(t, s, first)
	require.NoError(t, ingest(t, s, 3).Err)
}

func runID(n int) stepwell.RunID {
	return stepwell.NewRunID(instant(n), stepwell.FunctionID{}, fmt.Sprint(n))
}

func instant(n int) time.Time { return time.UnixMilli(int64(1_700_000_000_000 + n)) }

func ingest(t *testing.T, s *memstore.Store, n int) store.Ingested {
	t.Helper()
	id, err := ulid.New(ulid.Timestamp(instant(n)), nil)
	require.NoError(t, err)
	event := stepwell.Event{
		ID: stepwell.EventID{ULID: id}, Environment: stepwell.DefaultEnvironment(), Name: "a",
		Data: json.RawMessage(`"` + fmt.Sprintf("%0998d", n) + `"`), ReceivedAt: instant(n),
	}
	run := stepwell.Run{ID: runID(n), Environment: event.Environment, Events: []stepwell.EventID{event.ID}}
	run.Progress.Open = []stepwell.Item{stepwell.NewDiscovery(run, 1, instant(n))}
	results, err := s.Ingest(t.Context(), []store.Ingest{{
		Environment: event.Environment, Now: instant(n),
		Events: []store.IngestEvent{{
			Event: event, Starts: []stepwell.RunStart{{Run: run, Key: event.ID.String()}},
		}},
	}})
	require.NoError(t, err)
	return results[0]
}

func startRun(t *testing.T, s *memstore.Store, n int) stepwell.Run {
	t.Helper()
	require.NoError(t, ingest(t, s, n).Err)
	run, err := s.Run(t.Context(), stepwell.DefaultEnvironment(), runID(n))
	require.NoError(t, err)
	return run
}

func endRun(t *testing.T, s *memstore.Store, run stepwell.Run) {
	t.Helper()
	results, err := s.Commit(t.Context(), []stepwell.Transition{{
		Run: run.ID, Settles: run.Progress.Open[0].ID,
		End: &stepwell.End{Status: stepwell.RunCompleted, Output: json.RawMessage(fmt.Sprintf(`"%0198d"`, 1))},
	}})
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
}
