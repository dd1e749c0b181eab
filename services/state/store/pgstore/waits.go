package pgstore

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// waitRows are waits that are registered.
type waitRows struct {
	waits []stepwell.Wait
	// last is beyond the ids of all events that there are.
	last pgtype.UUID
	// looksBack tells, when the rows are written, which waits have to look back.
	looksBack []bool
}

// signalNames name signals, as columns.
type signalNames struct {
	environments []pgtype.UUID
	names        []string
}

func (n *signalNames) add(w stepwell.Wait) {
	n.environments, n.names = append(n.environments, pgUUID(w.Environment.UUID)), append(n.names, w.Name)
}

// add adds a wait that is registered at an instant. One for a signal takes the place of another.
func (r *waitRows) add(w stepwell.Wait, at time.Time) {
	if last := firstID(at.Add(clocksApart)); compareIDs(last, r.last) > 0 {
		r.last = last
	}
	if w.Kind == stepwell.WaitSignal {
		r.waits = slices.DeleteFunc(r.waits, func(o stepwell.Wait) bool {
			return o.Kind == w.Kind && o.Environment == w.Environment && o.Name == w.Name
		})
	}
	r.waits = append(r.waits, w)
}

// write queues the rows.
func (r *waitRows) write(ctx context.Context, p *pipeline) error {
	if len(r.waits) == 0 {
		return nil
	}
	rows := pgsql.InsertWaitsParams{Last: r.last}
	var signals signalNames
	var shapes struct {
		environments  []pgtype.UUID
		names, shapes []string
	}
	for _, w := range r.waits {
		appendWait(&rows, w)
		if w.Kind == stepwell.WaitSignal {
			signals.add(w)
			continue
		}
		shapes.environments = append(shapes.environments, pgUUID(w.Environment.UUID))
		shapes.names, shapes.shapes = append(shapes.names, w.Name), append(shapes.shapes, w.Shape)
	}
	q := pgsql.New(p)
	if len(signals.names) > 0 {
		if err := q.DeleteSignalWaits(ctx, signals.environments, signals.names); err != nil {
			return err
		}
	}
	collectValues(p, &r.looksBack, pgsql.InsertWaits, rows.Last, rows.RunIds, rows.StepIds, rows.EnvironmentIds, rows.Kinds,
		rows.Names, rows.Prefixes, rows.Shapes, rows.KeyHashes, rows.Expressions, rows.Since, rows.FirstIds, rows.Until)
	if len(shapes.names) == 0 {
		return nil
	}
	return q.InsertWaitShapes(ctx, shapes.environments, shapes.names, shapes.shapes)
}

func appendWait(rows *pgsql.InsertWaitsParams, w stepwell.Wait) {
	prefix, wildcard := strings.CutSuffix(w.Name, "*")
	if !wildcard || !w.Kind.ByEvent() {
		prefix = ""
	}
	rows.RunIds = append(rows.RunIds, pgULID(w.Run.ULID))
	rows.StepIds = append(rows.StepIds, string(w.Item.Step))
	rows.EnvironmentIds = append(rows.EnvironmentIds, pgUUID(w.Environment.UUID))
	rows.Kinds = append(rows.Kinds, int16(w.Kind))
	rows.Names = append(rows.Names, w.Name)
	rows.Prefixes = append(rows.Prefixes, prefix)
	rows.Shapes = append(rows.Shapes, w.Shape)
	rows.KeyHashes = append(rows.KeyHashes, append([]byte{}, w.KeyHash...))
	rows.Expressions = append(rows.Expressions, w.Expression)
	rows.Since = append(rows.Since, pgTime(w.Since))
	first := rows.Last // there is nothing to look at
	if !w.Since.IsZero() {
		first = firstID(w.Since)
	}
	rows.FirstIds = append(rows.FirstIds, first)
	rows.Until = append(rows.Until, pgTime(w.Until))
}

// nameOf is a name within an environment.
type nameOf struct {
	environment stepwell.EnvironmentID
	name        string
}

// listeners are what a batch of transitions has to know of others: who listens to events of ours, and who waits for
// signals.
type listeners struct {
	heard map[nameOf]bool
	// signals are the runs that wait for a signal.
	signals map[nameOf]stepwell.RunID

	heardRows  []pgsql.HeardNamesRow
	signalRows []pgsql.Wait
}

// ask queues what the transitions have to know.
func (l *listeners) ask(p *pipeline, transitions []stepwell.Transition) {
	asked := map[nameOf]bool{}
	var environments []pgtype.UUID
	var names []string
	var signals signalNames
	for _, t := range transitions {
		for _, name := range told(t) {
			if key := (nameOf{t.Environment, name}); !asked[key] {
				asked[key] = true
				environments, names = append(environments, pgUUID(t.Environment.UUID)), append(names, name)
			}
		}
		for _, opening := range t.Opens {
			if w := opening.Wait; w != nil && w.Kind == stepwell.WaitSignal {
				signals.add(*w)
			}
		}
	}
	if len(names) > 0 {
		collect(p, &l.heardRows, pgsql.HeardNames, environments, names)
	}
	if len(signals.names) > 0 {
		collect(p, &l.signalRows, pgsql.SignalWaits, signals.environments, signals.names)
	}
}

// told are the names of the events of ours that tell of an end.
func told(t stepwell.Transition) []string {
	if t.End == nil {
		return nil
	}
	names := slices.Clone(t.End.Unheard)
	for _, event := range t.End.Emits {
		names = append(names, event.Name)
	}
	return names
}

// learn takes the answers.
func (l *listeners) learn() {
	l.heard, l.signals = map[nameOf]bool{}, map[nameOf]stepwell.RunID{}
	for _, row := range l.heardRows {
		l.heard[nameOf{stepwell.EnvironmentID{UUID: row.EnvironmentID.Bytes}, row.Name}] = true
	}
	for _, row := range l.signalRows {
		w := fromWait(row)
		l.signals[nameOf{w.Environment, w.Name}] = w.Run
	}
}

// note takes note of the waits that a transition registers.
func (l *listeners) note(opens []stepwell.Opening) {
	for _, opening := range opens {
		switch w := opening.Wait; {
		case w == nil:
		case w.Kind == stepwell.WaitSignal:
			l.signals[nameOf{w.Environment, w.Name}] = w.Run
		default:
			l.heard[nameOf{w.Environment, w.Name}] = true
		}
	}
}

// isHeard tells whether somebody listens to events of a name, of those that were asked for.
func (l *listeners) isHeard(environment stepwell.EnvironmentID, name string) bool {
	return l.heard[nameOf{environment, name}]
}

// taken tells whether another run waits for the signal.
func (l *listeners) taken(w stepwell.Wait) bool {
	run, waiting := l.signals[nameOf{w.Environment, w.Name}]
	return waiting && run != w.Run
}
