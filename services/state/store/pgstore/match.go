package pgstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// clocksApart is how far ahead of ours the clock may be of whoever made an event's id.
const clocksApart = time.Hour

// waitNamesOf are the names by which waits may have asked for the event, one a line.
func waitNamesOf(event stepwell.Event) string {
	return strings.Join(stepwell.EventNames(event.Name), "\n")
}

const (
	// nameLockFirst and nameLockCount bound the advisory locks on names: names share them, so that a batch of many names
	// does not exhaust the table of locks.
	nameLockFirst = 7_364_600_000
	nameLockCount = 1024
)

// nameLocks are the locks that a transaction takes so that an event and a wait for it cannot miss each other: whoever
// stores an event shares its names, whoever registers a wait has its name alone. So either the event's transaction sees
// the wait, or the wait's sees the event.
type nameLocks struct {
	exclusive map[int64]bool
}

func (l *nameLocks) add(environment stepwell.EnvironmentID, name string, exclusive bool) {
	l.addKey(environment.UUID[:], name, exclusive)
}

// start adds all that a start is decided by.
func (l *nameLocks) start(start stepwell.RunStart) {
	l.register(start.Waits)
	if start.Rate != nil {
		l.count(startKeyOf(start, start.Rate.Key))
	}
	if start.Place != nil {
		l.count(startKeyOf(start, start.Place.Key))
	}
	if start.Buffering != nil {
		l.count(bufferKeyOf(start, start.Buffering.KeyHash))
	}
}

// count adds what a rate counts, or a place, so that its starts are decided one after the other.
func (l *nameLocks) count(key startKey) { l.addKey(key.function.UUID[:], key.hash, true) }

func (l *nameLocks) addKey(of []byte, name string, exclusive bool) {
	sum := sha256.Sum256(append(slices.Clone(of), name...))
	key := nameLockFirst + int64(binary.BigEndian.Uint64(sum[:])%nameLockCount)
	if l.exclusive == nil {
		l.exclusive = map[int64]bool{}
	}
	l.exclusive[key] = l.exclusive[key] || exclusive
}

// share adds the names of an event.
func (l *nameLocks) share(event stepwell.Event) {
	for _, name := range stepwell.EventNames(event.Name) {
		l.add(event.Environment, name, false)
	}
}

// lock queues the locks, in order, so that two transactions cannot wait for each other.
func (l *nameLocks) lock(ctx context.Context, p *pipeline) error {
	if len(l.exclusive) == 0 {
		return nil
	}
	var keys []int64
	for key := range l.exclusive {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	exclusive := make([]bool, len(keys))
	for i, key := range keys {
		exclusive[i] = l.exclusive[key]
	}
	return pgsql.New(p).LockNames(ctx, keys, exclusive)
}

// register adds the names of waits.
func (l *nameLocks) register(waits []stepwell.Wait) {
	for _, w := range waits {
		name := w.Name
		if !w.Kind.ByEvent() {
			name = "\n" + name // no event has such a name
		}
		l.add(w.Environment, name, true)
	}
}

// lockWaitNames queues the locks of the waits that transitions register, and of the events that ends would tell of: so that
// whoever begins to listen is heard, or hears.
func lockWaitNames(ctx context.Context, p *pipeline, transitions []stepwell.Transition) error {
	var names nameLocks
	for _, t := range transitions {
		for _, opening := range t.Opens {
			if opening.Wait != nil {
				names.register([]stepwell.Wait{*opening.Wait})
			}
		}
	}
	names.tell(transitions)
	return names.lock(ctx, p)
}

// tell adds the names of the events that tell of ends.
func (l *nameLocks) tell(transitions []stepwell.Transition) {
	for _, t := range transitions {
		for _, name := range told(t) {
			l.add(t.Environment, name, false)
		}
	}
}

// Waits implements store.Matcher.
func (s *Store) Waits(ctx context.Context, query store.WaitQuery) ([]stepwell.Wait, string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	q := pgsql.New(s.writes)
	environment := pgUUID(query.Event.Environment.UUID)
	shapes, err := q.WaitShapes(ctx, environment, stepwell.EventNames(query.Event.Name))
	if err != nil {
		return nil, "", fmt.Errorf("find shapes of waits: %w", classify(err))
	}
	cursor, err := parseWaitCursor(query.Cursor)
	if err != nil || len(shapes) == 0 {
		return nil, "", err
	}
	find := pgsql.WaitsForParams{
		EnvironmentID: environment, Most: int32(query.Limit) + 1,
		CursorRun: pgULID(cursor.Run.ULID), CursorStep: string(cursor.Step),
	}
	variables := query.Event.Variables()
	for _, row := range shapes {
		find.Names, find.Shapes = append(find.Names, row.Name), append(find.Shapes, row.Shape)
		find.KeyHashes = append(find.KeyHashes, append([]byte{}, stepwell.KeyHash(row.Shape, variables)...))
	}
	rows, err := q.WaitsFor(ctx, find)
	if err != nil {
		return nil, "", fmt.Errorf("find waits: %w", classify(err))
	}
	waits := convertRows(rows, fromWait)
	if len(waits) <= query.Limit {
		return waits, "", nil
	}
	return waits[:query.Limit], string(waits[query.Limit-1].Item.ID), nil
}

// parseWaitCursor is the item of the last wait of the page before; the zero item at the beginning.
func parseWaitCursor(cursor string) (stepwell.Item, error) {
	if cursor == "" {
		return stepwell.Item{}, nil
	}
	return stepwell.ItemID(cursor).Item()
}

// fromWait is the wait of a row, its item as far as its id goes.
func fromWait(row pgsql.Wait) stepwell.Wait {
	run := stepwell.Run{ID: stepwell.RunID{ULID: row.RunID.Bytes}}
	w := stepwell.Wait{
		Run: run.ID, Environment: stepwell.EnvironmentID{UUID: row.EnvironmentID.Bytes}, Kind: stepwell.WaitKind(row.Kind),
		Name: row.Name, Expression: row.Expression, Shape: row.Shape, Since: fromTime(row.Since),
		Until: fromTime(row.Until),
	}
	if len(row.KeyHash) > 0 {
		w.KeyHash = row.KeyHash
	}
	item := stepwell.NewStepItem(run, stepwell.ItemTimeout, stepwell.StepID(row.StepID), w.Item.DueAt)
	w.Item = stepwell.Item{ID: item.ID, Run: run.ID, Kind: item.Kind, Step: item.Step}
	return w
}

// SignalWait implements store.Matcher.
func (s *Store) SignalWait(
	ctx context.Context, environment stepwell.EnvironmentID, signal string,
) (stepwell.Wait, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	rows, err := pgsql.New(s.writes).SignalWaits(ctx, []pgtype.UUID{pgUUID(environment.UUID)}, []string{signal})
	switch {
	case err != nil:
		return stepwell.Wait{}, fmt.Errorf("find wait for signal: %w", classify(err))
	case len(rows) == 0:
		return stepwell.Wait{}, fmt.Errorf("wait for signal %q: %w", signal, stepwell.ErrNotFound)
	}
	return fromWait(rows[0]), nil
}

// Routed implements store.Matcher.
func (s *Store) Routed(ctx context.Context, events []stepwell.EventID) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	ids := make([]pgtype.UUID, len(events))
	for i, id := range events {
		ids[i] = pgULID(id.ULID)
	}
	first, last := span(ids)
	if err := pgsql.New(s.writes).MarkRouted(ctx, ids, first, last); err != nil {
		return fmt.Errorf("mark events as routed: %w", classify(err))
	}
	return nil
}

// lookBacksMax bounds the look-backs of one call.
const lookBacksMax = 100

// LookBacks implements store.Matcher.
func (s *Store) LookBacks(ctx context.Context, limit int) ([]store.LookBack, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	rows, err := pgsql.New(s.writes).LookBacks(ctx, int32(min(limit, lookBacksMax)))
	if err != nil {
		return nil, fmt.Errorf("find look-backs: %w", classify(err))
	}
	backs := make([]store.LookBack, len(rows))
	events := make([][]pgsql.GetEventRow, len(rows))
	p := &pipeline{}
	for i, row := range rows {
		backs[i].Wait = fromWait(row)
		first, last := firstID(backs[i].Wait.Since), firstID(time.Now().Add(clocksApart))
		if prefix, wildcard := strings.CutSuffix(row.Name, "*"); wildcard {
			collect(p, &events[i], pgsql.EventsSinceByPrefix, row.EnvironmentID, first, last, prefix, int32(store.LookBackMax))
		} else {
			collect(p, &events[i], pgsql.EventsSince, row.EnvironmentID, row.Name, first, last, int32(store.LookBackMax))
		}
	}
	if err := p.send(ctx, s.writes); err != nil {
		return nil, fmt.Errorf("find events of look-backs: %w", classify(err))
	}
	for i := range backs {
		backs[i].Events = convertRows(events[i], fromEvent)
		backs[i].More = len(events[i]) == store.LookBackMax
	}
	slices.SortFunc(backs, func(a, b store.LookBack) int { return cmp.Compare(a.Wait.Item.ID, b.Wait.Item.ID) })
	return backs, nil
}

// LookedBack implements store.Matcher.
func (s *Store) LookedBack(ctx context.Context, waits []stepwell.Wait) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	var looked struct {
		RunIds  []pgtype.UUID
		StepIds []string
		Since   []pgtype.Timestamptz
	}
	for _, w := range waits {
		looked.RunIds = append(looked.RunIds, pgULID(w.Run.ULID))
		looked.StepIds = append(looked.StepIds, string(w.Item.Step))
		looked.Since = append(looked.Since, pgTime(w.Since))
	}
	if err := pgsql.New(s.writes).LookedBack(ctx, looked.RunIds, looked.StepIds, looked.Since); err != nil {
		return fmt.Errorf("end look-backs: %w", classify(err))
	}
	return nil
}
