// Package record reads what Postgres and Redis hold of the system under test, by SQL and by the names of keys, so that
// what the services say of themselves is not asked.
//
// It must not judge what it finds.
package record

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/oklog/ulid/v2"
)

// Record is what the database holds from some time on.
type Record struct {
	Events []Event
	Runs   []Run
	// Changes are changes of what must not change any more.
	Changes []Change
}

// Event is a stored event.
type Event struct {
	// ID is the server's own, Key the publisher's. Of an event that invokes a function, Key is the step that does it.
	ID     string
	Name   string
	Key    string
	Routed bool
}

// Run is a stored run.
type Run struct {
	ID string
	// Function is the slug of its function.
	Function string
	// Event is the name of what started it, Keys are the keys of its events.
	Event  string
	Keys   []string
	Status int
	Output string
	// Live says that it has a head, which is its state while it runs.
	Live  bool
	Steps []Step
}

// How runs end.
const (
	RunCompleted = 1
	RunFailed    = 2
	RunCancelled = 3
)

// Step is a stored step.
type Step struct {
	// ID is how the protocol names it.
	ID       string
	Recorded bool
	Result   string
	// Event is the id of the event that the step waited for, if one came.
	Event string
}

// Change is a change of something that must not change any more.
type Change struct {
	// What is runs or steps, or late for a step that was written after the end of its run.
	What string
	Run  string
	// Text says what changed, and from what to what.
	Text string
}

// connectTimeout bounds how long connecting and asking may take.
const connectTimeout = 30 * time.Second

// eventKey is an event's key. The server's own that invoke have none, but they name the step that invokes.
const eventKey = `COALESCE(e.key, CASE WHEN e.name = 'inngest/function.invoked'
	THEN convert_from(e.data, 'UTF8')::jsonb -> '_inngest' ->> 'correlation_id' END, '')`

// Load reads all events and runs that were made since a time. It takes the changes, so that they are not found again.
func Load(ctx context.Context, url string, since time.Time) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return Record{}, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	var first ulid.ULID
	if err := first.SetTime(ulid.Timestamp(since)); err != nil {
		return Record{}, fmt.Errorf("make the first id: %w", err)
	}
	r := Record{}
	if r.Events, err = collect(ctx, conn, scanEvent, `SELECT e.id, e.name, `+eventKey+`, e.routed FROM events AS e WHERE e.id >= $1`,
		[16]byte(first)); err != nil {
		return r, fmt.Errorf("read events: %w", err)
	}
	if r.Runs, err = collect(ctx, conn, scanRun, `
		SELECT r.id, f.slug, r.status, COALESCE(convert_from(r.output, 'UTF8'), ''), h.run_id IS NOT NULL,
			r.event_name, ARRAY(SELECT `+eventKey+` FROM events AS e WHERE e.id = ANY(r.event_ids))
		FROM runs AS r JOIN functions AS f ON f.id = r.function_id LEFT JOIN heads AS h ON h.run_id = r.id
		WHERE r.id >= $1`, [16]byte(first)); err != nil {
		return r, fmt.Errorf("read runs: %w", err)
	}
	if err = readSteps(ctx, conn, first, r.Runs); err != nil {
		return r, fmt.Errorf("read steps: %w", err)
	}
	if r.Changes, err = collect(ctx, conn, scanChange, `DELETE FROM crash_changes RETURNING what, run_id, change`); err != nil {
		return r, fmt.Errorf("read changes: %w", err)
	}
	return r, nil
}

func collect[T any](
	ctx context.Context, conn *pgx.Conn, scan pgx.RowToFunc[T], query string, arguments ...any,
) ([]T, error) {
	rows, err := conn.Query(ctx, query, arguments...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}

func scanEvent(row pgx.CollectableRow) (Event, error) {
	var id [16]byte
	e := Event{}
	err := row.Scan(&id, &e.Name, &e.Key, &e.Routed)
	e.ID = ulid.ULID(id).String()
	return e, err
}

func scanRun(row pgx.CollectableRow) (Run, error) {
	var id [16]byte
	r := Run{}
	err := row.Scan(&id, &r.Function, &r.Status, &r.Output, &r.Live, &r.Event, &r.Keys)
	r.ID = ulid.ULID(id).String()
	return r, err
}

func scanChange(row pgx.CollectableRow) (Change, error) {
	var id [16]byte
	c := Change{}
	err := row.Scan(&c.What, &id, &c.Text)
	c.Run = ulid.ULID(id).String()
	return c, err
}

// readSteps gives the runs their steps.
func readSteps(ctx context.Context, conn *pgx.Conn, first ulid.ULID, runs []Run) error {
	type stepOf struct {
		run  string
		step Step
	}
	steps, err := collect(ctx, conn, func(row pgx.CollectableRow) (stepOf, error) {
		var id [16]byte
		var event *[16]byte
		s := stepOf{}
		err := row.Scan(&id, &s.step.ID, &s.step.Recorded, &s.step.Result, &event)
		s.run = ulid.ULID(id).String()
		if event != nil {
			s.step.Event = ulid.ULID(*event).String()
		}
		return s, err
	}, `SELECT run_id, step_id, status <> 0, COALESCE(convert_from(result, 'UTF8'), ''), event_id FROM steps WHERE run_id >= $1`,
		[16]byte(first))
	at := make(map[string]int, len(runs))
	for i, run := range runs {
		at[run.ID] = i
	}
	for _, s := range steps {
		if i, known := at[s.run]; known {
			runs[i].Steps = append(runs[i].Steps, s.step)
		}
	}
	return err
}
