package pgstore_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore"
)

// plan is how Postgres executed a statement.
type plan struct {
	Text string   `json:"Query Text"`
	Plan planNode `json:"Plan"`
}

type planNode struct {
	Type     string     `json:"Node Type"`
	Relation string     `json:"Relation Name"`
	Index    string     `json:"Index Name"`
	Rows     float64    `json:"Actual Rows"`
	Removed  float64    `json:"Rows Removed by Filter"`
	Loops    float64    `json:"Actual Loops"`
	Plans    []planNode `json:"Plans"`
}

// scans are the nodes that read a table and were executed.
func (n planNode) scans() []planNode {
	if n.Loops == 0 {
		return nil
	}
	var found []planNode
	if strings.HasSuffix(n.Type, "Scan") && n.Relation != "" {
		found = append(found, n)
	}
	for _, child := range n.Plans {
		found = append(found, child.scans()...)
	}
	return found
}

// name is the statement's name in queries/*.sql.
func (p plan) name() string {
	if found := regexp.MustCompile(`-- name: (\w+)`).FindStringSubmatch(p.Text); found != nil {
		return found[1]
	}
	return ""
}

// rowsPerTable is how much there is of everything, spread over two days.
const rowsPerTable = 40_000

// fill makes live runs of two days, each with an event, a step, an attempt and a wait; some events are unrouted.
const fill = `
CREATE TEMPORARY TABLE seeds AS SELECT n,
	(lpad(to_hex(extract(epoch FROM $1::timestamptz)::bigint * 1000 - 172800000 + n * (172800000 / $2::bigint)), 12, '0') ||
		lpad(to_hex(n), 20, '0'))::uuid AS id,
	$1::timestamptz - interval '2 days' + n * interval '2 days' / $2 AS at
FROM generate_series(1, $2::bigint) AS n`

func fillTables() []string {
	const nobody = `'00000000-0000-0000-0000-000000000001'::uuid`
	return []string{
		`INSERT INTO events (id, environment_id, name, data, user_data, occurred_at, received_at, routed)
		SELECT id, ` + nobody + `, 'e' || n % 20, '{}', '{}', at, at, n % 10 <> 0 FROM seeds`,
		`INSERT INTO runs (id, environment_id, function_id, function_version, event_ids, event_name, status, created_at,
			priority_nanos) SELECT id, ` + nobody + `, ` + nobody + `, 1, ARRAY[id], 'e', 0, at, 0 FROM seeds`,
		`INSERT INTO heads (run_id, environment_id, function_id, priority_nanos, request_version, open, discovery_count,
			rediscover, step_count, state_bytes, due_minute, parked_minute, place)
		SELECT id, ` + nobody + `, ` + nobody + `, 0, 2, '[{"k":1,"n":1,"d":1,"p":true}]', 1, false, 1, 1,
			extract(epoch FROM at)::bigint / 60, extract(epoch FROM at)::bigint / 60, decode(md5(n::text), 'hex') FROM seeds`,
		`INSERT INTO singletons (function_id, key_hash, run_id) SELECT ` + nobody + `, decode(md5(n::text), 'hex'), id FROM seeds`,
		`INSERT INTO steps (run_id, step_id, name, kind, status, opened_order, recorded_order, result)
		SELECT id, 'x', 'x', 1, 1, 0, 1, '1' FROM seeds`,
		`INSERT INTO attempts (run_id, item, number, status, started_at, ended_at, http_status)
		SELECT id, 'x', 0, 1, at, at, 200 FROM seeds`,
		`INSERT INTO event_runs (event_id, run_id) SELECT id, id FROM seeds`,
		`INSERT INTO start_keys (function_id, key_hash, run_id, started_at)
		SELECT ` + nobody + `, decode(md5(n::text), 'hex'), id, at FROM seeds`,
		`INSERT INTO deadlines (run_id, due_at) SELECT id, at + interval '1 minute' * n FROM seeds`,
		`INSERT INTO buffers (run_id, environment_id, function_id, function_version, key_hash, batch, event_ids, event_name, event_at,
			bytes, created_at, first_at, fire_at)
		SELECT id, ` + nobody + `, ` + nobody + `, 1, decode(md5((n % 5000)::text), 'hex'), n % 2 = 0, ARRAY[id], 'e', at, 1, at, at,
			at + interval '3 days' FROM seeds`,
		`INSERT INTO rate_starts (function_id, key_hash, number, started_at)
		SELECT ` + nobody + `, '', n + 1, at FROM seeds`,
		`INSERT INTO throttle_starts (function_id, started_at, run_id, limits) SELECT ` + nobody + `, at, id, '[]' FROM seeds`,
		`INSERT INTO waits (run_id, step_id, environment_id, kind, name, shape, key_hash, expression, since)
		SELECT id, 'x', ` + nobody + `, 0, CASE WHEN n % 5000 = 0 THEN 'e*' WHEN n % 2500 = 0 THEN 'e0'
			WHEN n % 2 = 0 THEN 'crowd' ELSE 'e' || n % 20 END,
			'data.id', decode(md5(n::text), 'hex'), '', CASE WHEN n % 2500 = 0 THEN at END FROM seeds`,
		`INSERT INTO wait_shapes (environment_id, name, shape)
		SELECT DISTINCT environment_id, name, shape FROM waits ON CONFLICT DO NOTHING`,
		`INSERT INTO schedules (environment_id, function_id, cron, next_at) SELECT id, ` + nobody + `, n::text, at FROM seeds`,
		`INSERT INTO catalogs (environment_id, revision, scheduled_revision) SELECT id, 1, CASE n % 1000 WHEN 0 THEN 0 ELSE 1 END
		FROM seeds`,
	}
}

// full returns a database with much of everything, by its URL, whose connections say how they execute statements.
func full(t *testing.T) string {
	t.Helper()
	migrated, url := fresh(t)
	require.NoError(t, migrated.Maintain(t.Context(), at().Add(-24*time.Hour)))
	run(t, url, append(append([]string{fill}, fillTables()...), "ANALYZE"), at(), rowsPerTable)
	hearStatements(t, url)
	return url
}

// hearStatements has new connections to a database say how they execute statements.
func hearStatements(t *testing.T, url string) {
	t.Helper()
	for _, setting := range []string{
		"session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0", "auto_explain.log_analyze = on",
		"auto_explain.log_timing = off", "auto_explain.log_format = 'json'", "client_min_messages = 'log'",
	} {
		exec(t, url, "ALTER DATABASE "+databaseOf(t, url)+" SET "+setting)
	}
}

// overhear returns a store, and how its statements were executed so far.
func overhear(t *testing.T, url string) (*pgstore.Store, func() []plan) {
	t.Helper()
	config := pgstore.DefaultConfig()
	config.URL = url
	var plans []plan
	var broken error
	s, err := pgstore.OpenOverheard(t.Context(), config, slog.New(slog.DiscardHandler), func(notice *pgconn.Notice) {
		if _, text, found := strings.Cut(notice.Message, "plan:\n"); found {
			var heard plan
			if err := json.Unmarshal([]byte(text), &heard); err != nil {
				broken = err
			}
			plans = append(plans, heard)
		}
	})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s, func() []plan {
		require.NoError(t, broken)
		return plans
	}
}

// run executes statements on one connection; only the first has arguments.
func run(t *testing.T, url string, statements []string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	for _, statement := range statements {
		_, err = conn.Exec(t.Context(), statement, args...)
		require.NoError(t, err, statement)
		args = nil
	}
}

// TestStatementsInALoopUseIndexes executes everything that the services do all the time, on tables that are full, and
// looks at how Postgres did it: often enough that Postgres keeps plans if it wants to, and then with nothing but plans
// for any arguments.
func TestStatementsInALoopUseIndexes(t *testing.T) {
	t.Parallel()
	url := full(t)
	s, plans := overhear(t, url)
	for round := range 8 {
		exercise(t, s, round)
	}
	heard := plans()
	exec(t, url, "ALTER DATABASE "+databaseOf(t, url)+" SET plan_cache_mode = 'force_generic_plan'")
	s, plans = overhear(t, url)
	exercise(t, s, 8)
	for _, p := range plans() {
		// Not knowing the limit, Postgres expects to list a tenth of the table, so it never keeps such a plan by itself.
		if !strings.HasPrefix(p.name(), "List") {
			heard = append(heard, p)
		}
	}
	requireGood(t, heard)
}

func requireGood(t *testing.T, plans []plan) {
	t.Helper()
	seen, problems := map[string]bool{}, map[string]string{}
	for _, p := range plans {
		seen[p.name()] = true
		for _, problem := range p.problems() {
			problems[problem] = p.Text
		}
	}
	for problem, text := range problems {
		t.Error(problem + ":\n" + text)
	}
	for _, name := range statements(t) {
		require.Contains(t, seen, name, "a statement that nothing here executes")
	}
}

// problems are whole tables that were read, and days in which the rows cannot be.
func (p plan) problems() []string {
	var problems []string
	partitions := map[string]map[string]bool{}
	for _, scan := range p.Plan.scans() {
		table, day, _ := strings.Cut(scan.Relation, "_20")
		if strings.HasPrefix(table, "pg_") {
			continue
		}
		if rows := (scan.Rows + scan.Removed) * scan.Loops; rows > p.rows() {
			problems = append(problems, fmt.Sprintf("%s reads %v rows of %s", p.name(), rows, scan.Relation))
		}
		if day != "" {
			if partitions[table] == nil {
				partitions[table] = map[string]bool{}
			}
			partitions[table][day] = true
		}
	}
	for table, days := range partitions {
		if len(days) > p.days() {
			problems = append(problems, fmt.Sprintf("%s looks into %d days of %s", p.name(), len(days), table))
		}
	}
	return problems
}

// rowsReadMax is how many rows of a table a statement may read here; no call below asks for as many.
const rowsReadMax = 500

// rows is how many rows of a table the statement may read.
func (p plan) rows() float64 {
	if p.name() == "EventsSince" {
		return 20 * store.LookBackMax // in the order of ids, where each twentieth event has the name
	}
	return rowsReadMax
}

// days is how many days the statement may look into. Those that look for keys look into theirs.
func (p plan) days() int {
	switch p.name() {
	case "ListRuns", "ListRunsOfFunction", "ListEvents", "ListEventsByName", "UnroutedEvents":
		return math.MaxInt // one row of each day, to know which comes first
	case "EventsSince", "EventsSinceByPrefix":
		return math.MaxInt // all since then
	case "":
		return math.MaxInt // maintenance
	}
	return 1
}

// statements are the names of all statements in queries/*.sql.
func statements(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("queries/*.sql")
	require.NoError(t, err)
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, found := range regexp.MustCompile(`-- name: (\w+)`).FindAllStringSubmatch(string(text), -1) {
			names = append(names, found[1])
		}
	}
	return names
}
