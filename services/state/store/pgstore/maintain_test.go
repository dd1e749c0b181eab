package pgstore_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore"
)

// fresh returns a store on a database of its own, whose schema the test may change, and its URL.
func fresh(t *testing.T) (*pgstore.Store, string) {
	t.Helper()
	config := pgstore.DefaultConfig()
	config.URL = server.Database(t)
	_, err := pgstore.Migrate(t.Context(), config.URL)
	require.NoError(t, err)
	s, err := pgstore.Open(t.Context(), config, pgstore.Deps{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s, config.URL
}

// query returns the single column of a query.
func query[T any](t *testing.T, url, sql string, args ...any) []T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return values
}

// eventAt is an event received at an instant, the only one of its millisecond.
func eventAt(t *testing.T, at time.Time, key string) stepwell.Event {
	t.Helper()
	id, err := ulid.New(ulid.Timestamp(at), nil)
	require.NoError(t, err)
	return stepwell.Event{
		ID: stepwell.EventID{ULID: id}, Environment: stepwell.DefaultEnvironment(), Name: "a/b", Key: key,
		Data: json.RawMessage(`{}`), User: json.RawMessage(`{}`), Time: at, ReceivedAt: at,
	}
}

// startAt starts a run of an event received at an instant.
func startAt(t *testing.T, s *pgstore.Store, at time.Time, key string) stepwell.Run {
	t.Helper()
	event := eventAt(t, at, key)
	function := stepwell.Function{ID: stepwell.NewFunctionID(stepwell.AppID{}, "f"), Environment: event.Environment, Version: 1}
	start := engine.Start(function, event, at)
	results, err := s.Ingest(t.Context(), []store.Ingest{{
		Environment: event.Environment, Now: at,
		Events: []store.IngestEvent{{Event: event, Starts: []stepwell.RunStart{start}}},
	}})
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
	require.Len(t, results[0].Opened, 1)
	return start.Run
}

func end(t *testing.T, s *pgstore.Store, run stepwell.Run, at time.Time) {
	t.Helper()
	results, err := s.Commit(t.Context(), []stepwell.Transition{{
		Run: run.ID, Settles: run.Progress.Open[0].ID, At: at,
		Records: []stepwell.Step{{
			ID: "a", Status: stepwell.StepCompleted, OpenedAt: at, Result: stepwell.Result{JSON: json.RawMessage(`1`)},
		}},
		Attempt: &stepwell.Attempt{Item: run.Progress.Open[0].ID, StartedAt: at, EndedAt: at},
		End:     &stepwell.End{Status: stepwell.RunCompleted},
	}})
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
}

func TestRowsGoToThePartitionOfTheirDay(t *testing.T) {
	t.Parallel()
	s, url := fresh(t)
	now := time.Date(2026, 5, 10, 13, 0, 0, 0, time.UTC)
	require.NoError(t, s.Maintain(t.Context(), now))
	require.NoError(t, s.Maintain(t.Context(), now), "again is harmless")
	require.Len(t, query[string](t, url, "SELECT relname::text FROM pg_class WHERE relname ~ '^runs_[0-9]+$'"), 9,
		"yesterday, today, and a week ahead")
	for i, at := range []time.Time{
		now.Add(-37 * time.Hour), now.Add(-13 * time.Hour).Add(-time.Millisecond), now.Add(-13 * time.Hour), now,
		now.Add(11*time.Hour - time.Millisecond), now.Add(11 * time.Hour),
	} {
		end(t, s, startAt(t, s, at, fmt.Sprint(i)), at)
	}
	for _, table := range []string{"events", "runs", "steps", "attempts"} {
		counts := map[string]int64{}
		for _, partition := range query[string](t, url, "SELECT tableoid::regclass::text FROM "+table) {
			counts[partition]++
		}
		require.Equal(t, map[string]int64{
			table + "_20260509": 2, table + "_20260510": 3, table + "_20260511": 1,
		}, counts)
	}
	require.Equal(t, []string{"l"}, query[string](t, url,
		"SELECT attcompression::text FROM pg_attribute WHERE attrelid = 'steps_20260510'::regclass AND attname = 'result'"))
}

func TestRetentionDropsDaysWithoutLiveRuns(t *testing.T) {
	t.Parallel()
	s, url := fresh(t)
	begin := time.Date(2026, 5, 10, 13, 0, 0, 0, time.UTC)
	require.NoError(t, s.Maintain(t.Context(), begin))
	old, sleeper := startAt(t, s, begin, "1"), startAt(t, s, begin.Add(24*time.Hour), "2")
	end(t, s, old, begin)
	days := func(table string) []string {
		return query[string](t, url, "SELECT relname::text FROM pg_class WHERE relname ~ ('^' || $1 || '_[0-9]+$') ORDER BY 1", table)
	}
	later := begin.Add(40 * 24 * time.Hour)
	require.NoError(t, s.Maintain(t.Context(), later))
	for _, table := range []string{"runs", "steps", "attempts", "events"} {
		require.NotContains(t, days(table), table+"_20260510", "nobody needs it")
		require.Contains(t, days(table), table+"_20260511", "a live run is in it")
	}
	_, err := store.LoadRun(t.Context(), s, old.ID)
	require.ErrorIs(t, err, stepwell.ErrNotFound)
	state, err := store.LoadRun(t.Context(), s, sleeper.ID)
	require.NoError(t, err)
	require.Len(t, state.Events, 1)
	require.Equal(t, "a/b", state.Events[0].Name)

	end(t, s, sleeper, later)
	require.NoError(t, s.Maintain(t.Context(), later))
	require.NotContains(t, days("runs"), "runs_20260511")
	require.NotContains(t, days("events"), "events_20260511")
	require.Empty(t, query[string](t, url, "SELECT run_id::text FROM start_keys"), "out of their window")
}

// TestRetentionKeepsEventsThatWait in a buffer.
func TestRetentionKeepsEventsThatWait(t *testing.T) {
	t.Parallel()
	s, url := fresh(t)
	begin := time.Date(2026, 5, 10, 13, 0, 0, 0, time.UTC)
	require.NoError(t, s.Maintain(t.Context(), begin))
	event := eventAt(t, begin, "")
	function := stepwell.Function{ID: stepwell.NewFunctionID(stepwell.AppID{}, "f"), Environment: event.Environment, Version: 1}
	start := engine.Start(function, event, begin)
	engine.Debounce(&start, stepwell.Debounce{Period: 50 * 24 * time.Hour}, []byte("key"), event)
	results, err := s.Ingest(t.Context(), []store.Ingest{{
		Environment: event.Environment, Now: begin, Events: []store.IngestEvent{{Event: event, Starts: []stepwell.RunStart{start}}},
	}})
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
	later := begin.Add(50 * 24 * time.Hour)
	require.NoError(t, s.Maintain(t.Context(), later))
	due, _, err := s.DueBuffers(t.Context(), later, 10)
	require.NoError(t, err)
	require.Equal(t, event.ID, due[0].Event.ID)
	results, err = s.Ingest(t.Context(), []store.Ingest{{Environment: event.Environment, Now: later, Fires: []store.Fire{{
		Start: engine.Fire(function, due[0].Buffer, due[0].Event, later), KeyHash: due[0].KeyHash,
	}}}})
	require.NoError(t, err)
	require.Len(t, results[0].Opened, 1)
	state, err := store.LoadRun(t.Context(), s, start.Run.ID)
	require.NoError(t, err)
	require.Equal(t, "a/b", state.Events[0].Name)
	end(t, s, state.Run, later)
	require.NoError(t, s.Maintain(t.Context(), later))
	require.Empty(t, query[string](t, url, "SELECT id::text FROM events"))
}

// TestRowsOutsideAllPartitionsAreKeptAsLong as others: until they are old, and no live run is.
func TestRowsOutsideAllPartitionsAreKeptAsLong(t *testing.T) {
	t.Parallel()
	s, url := fresh(t)
	at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	run := startAt(t, s, at, "1")
	require.NoError(t, s.Maintain(t.Context(), at), "the rows are in the default partition: it stays so")
	require.Equal(t, []string{"runs_default"}, query[string](t, url, "SELECT tableoid::regclass::text FROM runs"))
	later := at.Add(40 * 24 * time.Hour)
	require.NoError(t, s.Maintain(t.Context(), later))
	require.Len(t, query[string](t, url, "SELECT id::text FROM runs"), 1, "it is live")
	end(t, s, run, at)
	require.NoError(t, s.Maintain(t.Context(), at.Add(29*24*time.Hour)))
	require.Len(t, query[string](t, url, "SELECT id::text FROM runs"), 1)
	require.NoError(t, s.Maintain(t.Context(), later))
	for _, table := range []string{"events", "runs", "steps", "attempts"} {
		require.Empty(t, query[string](t, url, "SELECT tableoid::regclass::text FROM "+table))
	}
}
