package pgstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/pgtest"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/batchstore"
	"github.com/stepwell/stepwell/services/state/store/pgstore"
)

// cost is what runs cost Postgres. Changes are transactions that write.
type cost struct{ transactions, changes, walBytes, diskBytes float64 }

// TestOneStepRunsCostLittle holds the budget: what Postgres does for runs of one step each, with an event of 200 bytes
// and a result of 100, one after the other and many at a time.
func TestOneStepRunsCostLittle(t *testing.T) {
	t.Parallel()
	instance := pgtest.Launch(t)
	// As in production, so that the log of changes has the size that it has there; nothing else may write meanwhile.
	for _, setting := range []string{"full_page_writes = on", "autovacuum = off"} {
		exec(t, instance.URL(), "ALTER SYSTEM SET "+setting)
	}
	exec(t, instance.URL(), "SELECT pg_reload_conf()")
	_, err := pgstore.Migrate(t.Context(), instance.URL())
	require.NoError(t, err)
	maintained := connect(t, instance.URL())
	require.NoError(t, maintained.Maintain(t.Context(), at()))
	maintained.Close()

	alone := costOf(t, instance.URL(), 1, 100)
	together := costOf(t, instance.URL(), 64, 15)
	t.Logf("per run, one by one: %+v", alone)
	t.Logf("per run, 64 at a time: %+v", together)
	const disk = 6 << 10
	require.LessOrEqual(t, alone.changes, 3.1, "the event with its run, the step, the end")
	require.LessOrEqual(t, alone.transactions, 4.5, "and reading the run once")
	require.Less(t, together.transactions, 1.0)
	require.Less(t, together.diskBytes, float64(disk))
}

// costOf is what a run costs if some callers finish runs at the same time, each its share.
func costOf(t *testing.T, url string, callers, each int) cost {
	t.Helper()
	config := pgstore.DefaultConfig()
	config.URL = url
	driver, err := pgstore.Open(t.Context(), config, pgstore.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	s, err := batchstore.New(driver, batchstore.DefaultConfig())
	require.NoError(t, err)

	before := spent(t, url)
	errs := make([]error, callers)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for n := range each {
				err := finish(t.Context(), s, at().Add(time.Duration(callers)*time.Minute+time.Duration(c*each+n)*time.Second))
				errs[c] = errors.Join(errs[c], err)
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	driver.Close()               // connections that end tell their counts
	exec(t, url, "VACUUM heads") // the rest only grows
	after, runs := spent(t, url), float64(callers*each)
	return cost{
		transactions: (after.transactions - before.transactions) / runs, changes: (after.changes - before.changes) / runs,
		walBytes: (after.walBytes - before.walBytes) / runs, diskBytes: (after.diskBytes - before.diskBytes) / runs,
	}
}

// spent is what has been spent by stores that are closed: connections tell their counts as they end.
func spent(t *testing.T, url string) cost {
	t.Helper()
	exec(t, url, `DO $$ BEGIN
		WHILE EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = 'stepwell') LOOP
			PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
		END LOOP;
	END $$`)
	one := func(sql string) float64 { return query[float64](t, url, sql)[0] }
	return cost{
		transactions: one("SELECT pg_stat_get_db_xact_commit(oid)::float8 FROM pg_database WHERE datname = current_database()"),
		changes:      one("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::float8"),
		walBytes:     one("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8"),
		diskBytes: one(`SELECT sum(pg_total_relation_size(oid))::float8 FROM pg_class
			WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`),
	}
}

// finish takes a run of one step from its event to its end, as the services do.
func finish(ctx context.Context, s store.Store, at time.Time) error {
	id, err := ulid.New(ulid.Timestamp(at), nil)
	if err != nil {
		return err
	}
	text := func(bytes int) json.RawMessage { return json.RawMessage(`"` + strings.Repeat("x", bytes-2) + `"`) }
	event := stepwell.Event{
		ID: stepwell.EventID{ULID: id}, Environment: stepwell.DefaultEnvironment(), Name: "shop/order.paid",
		Data: text(200), User: json.RawMessage(`{}`), Time: at, ReceivedAt: at,
	}
	function := stepwell.Function{
		ID: stepwell.NewFunctionID(stepwell.AppID{}, "shop-charge"), Environment: event.Environment, Version: 1,
	}
	ingested, err := s.Ingest(ctx, []store.Ingest{{
		Environment: event.Environment, Now: at,
		Events: []store.IngestEvent{{Event: event, Starts: []stepwell.RunStart{engine.Start(function, event, at)}}},
	}})
	if err != nil || len(ingested[0].Opened) != 1 {
		return fmt.Errorf("not started: %w", errors.Join(err, ingested[0].Err))
	}
	first := ingested[0].Opened[0]
	if _, err := store.LoadRun(ctx, s, first.Run); err != nil {
		return err
	}
	const step = "0a4d55a8d778e5022fab701977c5d840bbc486d0"
	opened, err := commitOne(ctx, s, stepwell.Transition{
		Run: first.Run, Settles: first.ID, At: at, RequestVersion: 2,
		Records: []stepwell.Step{{
			ID: step, Name: "charge the card", Status: stepwell.StepCompleted, StartedAt: at, EndedAt: at,
			Result: stepwell.Result{JSON: text(100)},
		}},
		Attempt: &stepwell.Attempt{Item: first.ID, Step: step, StepName: "charge the card", StartedAt: at, EndedAt: at, HTTPStatus: 206},
	})
	if err != nil || len(opened) != 1 {
		return fmt.Errorf("no step: %w", err)
	}
	_, err = commitOne(ctx, s, stepwell.Transition{
		Run: first.Run, Settles: opened[0].ID, At: at,
		Attempt: &stepwell.Attempt{Item: opened[0].ID, StartedAt: at, EndedAt: at, HTTPStatus: 200},
		End:     &stepwell.End{Status: stepwell.RunCompleted, Output: text(100)},
	})
	return err
}

func commitOne(ctx context.Context, s store.Store, t stepwell.Transition) ([]stepwell.Item, error) {
	results, err := s.Commit(ctx, []stepwell.Transition{t})
	if err != nil {
		return nil, err
	}
	return results[0].Opened, results[0].Err
}
