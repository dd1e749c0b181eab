package meter

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/jackc/pgx/v5"
)

// statementsShown is how many statements are shown by name, those that took longest.
const statementsShown = 24

// statement is what Postgres spent on a statement, or on several of the same name.
type statement struct {
	calls  int64
	millis float64
	// blocks are those that it looked into, in memory or not.
	blocks int64
}

// statementName finds the name that sqlc puts at a statement's beginning.
var statementName = regexp.MustCompile(`^-- name: (\w+)`)

// hasStatements reports whether Postgres counts by statement, which it does with an extension.
func hasStatements(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var has bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'pg_stat_statements')`).Scan(&has)
	return has, err
}

// statements are those of the database by name; those without one are of the name "other". Ours are not among them.
func (p *postgres) statements(ctx context.Context) (map[string]statement, error) {
	if !p.hasStatements {
		return nil, nil
	}
	rows, err := p.conn.Query(ctx, `
		SELECT query, calls, total_exec_time, shared_blks_hit + shared_blks_read
		FROM pg_stat_statements
		WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND query NOT LIKE '%pg_stat_%' AND query NOT LIKE 'CHECKPOINT%'`)
	p.own++
	if err != nil {
		return nil, fmt.Errorf("read its statements: %w", err)
	}
	byName := map[string]statement{}
	var text string
	var s statement
	_, err = pgx.ForEachRow(rows, []any{&text, &s.calls, &s.millis, &s.blocks}, func() error {
		name := "other"
		if found := statementName.FindStringSubmatch(text); found != nil {
			name = found[1]
		}
		sum := byName[name]
		byName[name] = statement{sum.calls + s.calls, sum.millis + s.millis, sum.blocks + s.blocks}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read its statements: %w", err)
	}
	return byName, nil
}

// statements adds what Postgres spent on statements.
func (d *difference) statements(before, after map[string]statement) {
	if len(after) == 0 {
		return
	}
	spent := map[string]statement{}
	var all statement
	for name, s := range after {
		earlier := before[name]
		s = statement{s.calls - earlier.calls, s.millis - earlier.millis, s.blocks - earlier.blocks}
		spent[name] = s
		all = statement{all.calls + s.calls, all.millis + s.millis, all.blocks + s.blocks}
	}
	d.each("Postgres statements", float64(all.calls))
	d.each("Postgres statements, ms", all.millis)
	d.each("Postgres statements, blocks", float64(all.blocks))
	names := slices.SortedFunc(maps.Keys(spent), func(a, b string) int {
		return cmp.Or(cmp.Compare(spent[b].millis, spent[a].millis), cmp.Compare(a, b))
	})
	for _, name := range names[:min(statementsShown, len(names))] {
		if spent[name].calls > 0 {
			d.each("Postgres "+name+", ms", spent[name].millis)
			d.each("Postgres "+name+", blocks", float64(spent[name].blocks))
		}
	}
}
