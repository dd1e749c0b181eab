package pgstore_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/pgtest"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore"
)

// at is when these tests play.
func at() time.Time { return time.Date(2026, 5, 10, 13, 0, 0, 0, time.UTC) }

func record(run stepwell.Run, step stepwell.StepID, name string) stepwell.Transition {
	return stepwell.Transition{
		Run: run.ID, Settles: run.Progress.Open[0].ID, Keep: true, At: at(),
		Records: []stepwell.Step{{
			ID: step, Name: name, Status: stepwell.StepCompleted, Result: stepwell.Result{JSON: json.RawMessage(`1`)},
		}},
	}
}

// TestWhatPostgresRefusesFailsAlone: one bad row does not take its batch with it.
func TestWhatPostgresRefusesFailsAlone(t *testing.T) {
	t.Parallel()
	s := open(t)
	var transitions []stepwell.Transition
	for i := range 9 {
		run := startAt(t, s, at().Add(time.Duration(i)*time.Second), "")
		name := "good"
		if i == 6 {
			name = "bad\x00" // no text of Postgres holds it
		}
		transitions = append(transitions, record(run, "a", name))
	}
	results, err := s.Commit(t.Context(), transitions)
	require.NoError(t, err)
	for i, result := range results {
		state, err := store.LoadRun(t.Context(), s, transitions[i].Run)
		require.NoError(t, err)
		if i == 6 {
			require.Error(t, result.Err)
			require.False(t, stepwell.Retryable(result.Err))
			require.Empty(t, state.Steps)
			continue
		}
		require.NoError(t, result.Err)
		require.Len(t, state.Steps, 1)
	}
}

// TestBatchesOfTheSameRunsDoNotBlockEachOther: locks are taken in the order of ids.
func TestBatchesOfTheSameRunsDoNotBlockEachOther(t *testing.T) {
	t.Parallel()
	s := open(t)
	runs := make([]stepwell.Run, 10)
	for i := range runs {
		runs[i] = startAt(t, s, at().Add(time.Duration(i)*time.Second), "")
	}
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for w := range errs {
		wg.Go(func() {
			for n := range 20 {
				var batch []stepwell.Transition
				for i := range runs {
					// Each worker has an order of its own.
					run := runs[(i*(2*w+1)+n)%len(runs)]
					batch = append(batch, record(run, stepwell.StepID(rune('a'+w)), "step"))
				}
				if _, err := s.Commit(context.WithoutCancel(t.Context()), batch); err != nil {
					errs[w] = err
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	for _, run := range runs {
		state, err := store.LoadRun(t.Context(), s, run.ID)
		require.NoError(t, err)
		require.Len(t, state.Steps, len(errs))
		for i, step := range state.Steps {
			require.Equal(t, i+1, step.Order)
		}
	}
}

// TestOutageIsSurvived: while Postgres is away everything is unavailable, and then it goes on, without a restart.
func TestOutageIsSurvived(t *testing.T) {
	t.Parallel()
	instance := pgtest.Launch(t)
	config := pgstore.DefaultConfig()
	config.URL = instance.URL()
	_, err := pgstore.Migrate(t.Context(), config.URL)
	require.NoError(t, err)
	s, err := pgstore.Open(t.Context(), config, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer s.Close()
	run := startAt(t, s, at(), "")

	instance.Stop()
	_, err = s.Commit(t.Context(), []stepwell.Transition{record(run, "a", "step")})
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	_, err = store.LoadRun(t.Context(), s, run.ID)
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	_, err = s.Run(t.Context(), run.Environment, run.ID)
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	require.ErrorContains(t, s.Ready(t.Context()), "database_url")

	instance.Start(t)
	require.NoError(t, s.Ready(t.Context()))
	results, err := s.Commit(t.Context(), []stepwell.Transition{record(run, "a", "step")})
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
}

func TestReadOnlyIsUnavailable(t *testing.T) {
	t.Parallel()
	s, url := fresh(t)
	run := startAt(t, s, at(), "")
	query[string](t, url, "SELECT set_config('x.y', '1', false)") // any connection
	exec(t, url, "ALTER ROLE postgres IN DATABASE "+databaseOf(t, url)+" SET default_transaction_read_only = on")
	config := pgstore.DefaultConfig()
	config.URL = url
	later, err := pgstore.Open(t.Context(), config, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer later.Close()
	_, err = later.Commit(t.Context(), []stepwell.Transition{record(run, "a", "step")})
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	require.ErrorContains(t, err, "must name the primary")
	require.ErrorContains(t, later.Ready(t.Context()), "must name the primary")
}

func TestMissingSchemaIsNamed(t *testing.T) {
	t.Parallel()
	config := pgstore.DefaultConfig()
	config.URL = server.Database(t)
	s, err := pgstore.Open(t.Context(), config, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer s.Close()
	require.ErrorContains(t, s.Ready(t.Context()), "run `stepwell migrate`")
}

func TestWrongURLsAreNamedWithoutSecrets(t *testing.T) {
	t.Parallel()
	config := pgstore.DefaultConfig()
	config.URL = "postgres://user:hunter2@host:notaport/db"
	_, err := pgstore.Open(t.Context(), config, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "database_url")
	require.NotContains(t, err.Error(), "hunter2")

	config.URL = "postgres://user:hunter2@127.0.0.1:1/db"
	s, err := pgstore.Open(t.Context(), config, slog.New(slog.DiscardHandler))
	require.NoError(t, err, "it may come up later")
	defer s.Close()
	err = s.Ready(t.Context())
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	require.ErrorContains(t, err, "cannot be reached (database_url)")
	require.NotContains(t, err.Error(), "hunter2")
}
