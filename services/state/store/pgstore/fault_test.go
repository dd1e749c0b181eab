package pgstore_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
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
	s, err := pgstore.Open(t.Context(), config, pgstore.Deps{Log: slog.New(slog.DiscardHandler)})
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
	later, err := pgstore.Open(t.Context(), config, pgstore.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer later.Close()
	_, err = later.Commit(t.Context(), []stepwell.Transition{record(run, "a", "step")})
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	require.ErrorContains(t, err, "must name the primary")
	require.ErrorContains(t, later.Ready(t.Context()), "must name the primary")
}

// TestSchemaThatIsBehindIsNamed: a release waits for the migrations that it needs, and goes on once they are made.
func TestSchemaThatIsBehindIsNamed(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	s := connect(t, url)
	requireDown(t, s, "run `stepwell migrate`")
	require.ErrorContains(t, s.Ready(t.Context()), "the schema is at version 0, this release needs")
	_, err := pgstore.Migrate(t.Context(), url)
	require.NoError(t, err)
	requireUp(t, s)
}

// TestSchemaThatIsAheadIsFine: a release works while the next one is rolled out, and after a rollback.
func TestSchemaThatIsAheadIsFine(t *testing.T) {
	t.Parallel()
	s, url := fresh(t)
	exec(t, url, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)")
	requireUp(t, s)
	made, err := pgstore.Migrate(t.Context(), url)
	require.NoError(t, err)
	require.Empty(t, made)
}

func TestMissingDatabaseIsNamed(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	missing := strings.Replace(url, strings.Trim(databaseOf(t, url), `"`), "nowhere", 1)
	requireDown(t, connect(t, missing), "the database of database_url does not exist")
	_, err := pgstore.Migrate(t.Context(), missing)
	require.ErrorContains(t, err, "the database of database_url does not exist")
}

// TestRefusedUserIsNamed: until Postgres has the password that the store has.
func TestRefusedUserIsNamed(t *testing.T) {
	t.Parallel()
	instance := pgtest.Launch(t)
	_, err := pgstore.Migrate(t.Context(), instance.URL())
	require.NoError(t, err)
	exec(t, instance.URL(), "CREATE ROLE locked LOGIN PASSWORD 'the right one'")
	exec(t, instance.URL(), `DO $$ BEGIN EXECUTE format(
		'COPY (VALUES (''host all locked 127.0.0.1/32 scram-sha-256''), (''host all all 127.0.0.1/32 trust'')) TO %L',
		current_setting('hba_file')); END $$`)
	exec(t, instance.URL(), "SELECT pg_reload_conf()")

	s := connect(t, strings.Replace(instance.URL(), "postgres@", "locked:hunter2@", 1))
	requireDown(t, s, "refuses the user or password of database_url")
	exec(t, instance.URL(), "ALTER ROLE locked PASSWORD 'hunter2'")
	requireDown(t, s, "the user of database_url may not use the tables")
	exec(t, instance.URL(), "GRANT ALL ON ALL TABLES IN SCHEMA public TO locked")
	requireUp(t, s)
	requireDown(t, connect(t, strings.Replace(instance.URL(), "postgres@", "nobody:hunter2@", 1)), "refuses the user")
}

// TestStandbyIsUnavailableUntilItIsPromoted is a failover, seen from a store that was connected all the time.
func TestStandbyIsUnavailableUntilItIsPromoted(t *testing.T) {
	t.Parallel()
	instance := pgtest.Launch(t)
	_, err := pgstore.Migrate(t.Context(), instance.URL())
	require.NoError(t, err)
	s := connect(t, instance.URL())
	require.NoError(t, s.Ready(t.Context()))
	exec(t, instance.URL(), `DO $$ BEGIN EXECUTE format(
		'COPY (VALUES ('''')) TO %L', current_setting('data_directory') || '/standby.signal'); END $$`)
	instance.Stop()
	instance.Start(t)
	require.ErrorIs(t, s.Ready(t.Context()), stepwell.ErrUnavailable, "the connection from before is broken")
	requireDown(t, s, "database_url must name the primary")
	exec(t, instance.URL(), "SELECT pg_promote()")
	requireUp(t, s)
}

// connect opens a store, whether Postgres takes it or not.
func connect(t *testing.T, url string) *pgstore.Store {
	t.Helper()
	config := pgstore.DefaultConfig()
	config.URL = url
	s, err := pgstore.Open(t.Context(), config, pgstore.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// requireDown requires that callers are told to try again, and people what is wrong, but not the password.
func requireDown(t *testing.T, s *pgstore.Store, why string) {
	t.Helper()
	_, ingesting := s.Ingest(t.Context(), []store.Ingest{{
		Now: at(), Events: []store.IngestEvent{{Event: eventAt(t, at(), "")}},
	}})
	require.ErrorContains(t, ingesting, why)
	for _, err := range []error{ingesting, s.Ready(t.Context()), s.Maintain(t.Context(), at())} {
		require.ErrorIs(t, err, stepwell.ErrUnavailable)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func requireUp(t *testing.T, s *pgstore.Store) {
	t.Helper()
	require.NoError(t, s.Ready(t.Context()))
	run := startAt(t, s, at(), "")
	results, err := s.Commit(t.Context(), []stepwell.Transition{record(run, "a", "step")})
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
}

func TestWrongURLsAreNamedWithoutSecrets(t *testing.T) {
	t.Parallel()
	config := pgstore.DefaultConfig()
	config.URL = "postgres://user:hunter2@host:notaport/db"
	_, err := pgstore.Open(t.Context(), config, pgstore.Deps{Log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "database_url")
	require.NotContains(t, err.Error(), "hunter2")

	config.URL = "postgres://user:hunter2@127.0.0.1:1/db"
	s, err := pgstore.Open(t.Context(), config, pgstore.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err, "it may come up later")
	defer s.Close()
	err = s.Ready(t.Context())
	require.ErrorIs(t, err, stepwell.ErrUnavailable)
	require.ErrorContains(t, err, "cannot be reached (database_url)")
	require.NotContains(t, err.Error(), "hunter2")
}
