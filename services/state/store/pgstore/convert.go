package pgstore

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/oklog/ulid/v2"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store/pgstore/internal/pgsql"
)

// pgULID and pgUUID are ids as Postgres has them. There are no null ids.
func pgULID(id ulid.ULID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }
func pgUUID(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

// nullableULID is an id that may be absent.
func nullableULID(id ulid.ULID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: !id.IsZero()} }

// last is the greatest id, for pages that begin at the newest.
func last() pgtype.UUID {
	id := pgtype.UUID{Valid: true}
	for i := range id.Bytes {
		id.Bytes[i] = math.MaxUint8
	}
	return id
}

// pgTime is an instant; null for the zero time.
func pgTime(t time.Time) pgtype.Timestamptz { return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()} }

// fromTime is the instant in UTC; the zero time for null.
func fromTime(t pgtype.Timestamptz) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return t.Time.UTC()
}

// nullable is JSON that may be absent.
func nullable(raw json.RawMessage) []byte {
	if len(raw) == 0 {
		return nil
	}
	return raw
}

// openItem is an open item in a head: short names, since it is written at every step.
type openItem struct {
	Kind       stepwell.ItemKind `json:"k,omitempty"`
	Step       stepwell.StepID   `json:"s,omitempty"`
	Number     int               `json:"n,omitempty"`
	Attempt    int               `json:"a,omitempty"`
	Forgiven   int               `json:"f,omitempty"`
	Race       bool              `json:"r,omitempty"`
	DueMicros  int64             `json:"d"`
	Generation int               `json:"g,omitempty"`
	Parked     bool              `json:"p,omitempty"`
	// SinceMicros and UnreachedMicros are null for the zero time.
	SinceMicros     *int64 `json:"w,omitempty"`
	UnreachedMicros *int64 `json:"u,omitempty"`
}

func encodeOpen(items []stepwell.Item) ([]byte, error) {
	open := make([]openItem, len(items))
	for i, item := range items {
		open[i] = openItem{
			Kind: item.Kind, Step: item.Step, Number: item.Number, Attempt: item.Attempt, Forgiven: item.Forgiven,
			Race: item.Race, DueMicros: item.DueAt.UnixMicro(), Generation: item.Generation,
			Parked: item.Parked,
		}
		if at := item.WaitsSince; !at.IsZero() {
			open[i].SinceMicros = new(at.UnixMicro())
		}
		if at := item.UnreachedSince; !at.IsZero() {
			open[i].UnreachedMicros = new(at.UnixMicro())
		}
	}
	encoded, err := json.Marshal(open)
	if err != nil {
		return nil, fmt.Errorf("encode open items: %w", err)
	}
	return encoded, nil
}

// decodeOpen is the items of a head, of a run of which function, priority and limits are known.
func decodeOpen(raw []byte, run stepwell.Run) ([]stepwell.Item, error) {
	if raw == nil {
		return nil, nil
	}
	var open []openItem
	if err := json.Unmarshal(raw, &open); err != nil {
		return nil, fmt.Errorf("decode open items of run %s: %w", run.ID, err)
	}
	items := make([]stepwell.Item, len(open))
	for i, o := range open {
		item := stepwell.Item{
			Kind: o.Kind, Step: o.Step, Number: o.Number, Attempt: o.Attempt, Forgiven: o.Forgiven, Race: o.Race,
			DueAt: time.UnixMicro(o.DueMicros).UTC(), Generation: o.Generation, Parked: o.Parked,
		}
		if at := o.SinceMicros; at != nil {
			item.WaitsSince = time.UnixMicro(*at).UTC()
		}
		if at := o.UnreachedMicros; at != nil {
			item.UnreachedSince = time.UnixMicro(*at).UTC()
		}
		items[i] = item.Of(run)
	}
	return items, nil
}

// dueMinute is when the first item is due, in whole minutes since 1970.
func dueMinute(items []stepwell.Item) int32 {
	first := int64(math.MaxInt32)
	for _, item := range items {
		first = min(first, minuteOf(item.DueAt))
	}
	return int32(first)
}

// parkedMinute is the same of those that are parked; 0 if none is.
func parkedMinute(items []stepwell.Item) int32 {
	parked := slices.DeleteFunc(slices.Clone(items), func(i stepwell.Item) bool { return !i.Parked })
	if len(parked) == 0 {
		return 0
	}
	return dueMinute(parked)
}

func minuteOf(t time.Time) int64 { return t.Unix() / int64(time.Minute/time.Second) }

// encodeList is a list as JSON; null if it is empty.
func encodeList[T any](list []T) ([]byte, error) {
	if len(list) == 0 {
		return nil, nil
	}
	encoded, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", list, err)
	}
	return encoded, nil
}

// decodeList reads what encodeList made.
func decodeList[T any](raw []byte) (list []T, err error) {
	if raw == nil {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("decode %T: %w", list, err)
	}
	return list, nil
}

// fromHead is a live run as far as applying a transition needs it.
func fromHead(h pgsql.LockHeadsRow) (stepwell.Run, error) {
	run := stepwell.Run{
		ID: stepwell.RunID{ULID: h.RunID.Bytes}, Environment: stepwell.EnvironmentID{UUID: h.EnvironmentID.Bytes},
		Function: stepwell.FunctionID{UUID: h.FunctionID.Bytes}, Priority: time.Duration(h.PriorityNanos),
		StartedAt: fromTime(h.StartedAt),
		Progress: stepwell.Progress{
			RequestVersion: int(h.RequestVersion), DiscoveryCount: int(h.DiscoveryCount), Rediscover: h.Rediscover,
			StepCount: int(h.StepCount), StateBytes: int(h.StateBytes),
			DeferCount: int(h.DeferCount), DeferBytes: int(h.DeferBytes),
		},
	}
	var err error
	if run.Limits, err = decodeList[stepwell.LimitKey](h.Limits); err != nil {
		return run, err
	}
	run.Progress.Open, err = decodeOpen(h.Open, run)
	return run, err
}

func fromRun(r pgsql.RunsRow) (stepwell.Run, error) {
	run := stepwell.Run{
		ID: stepwell.RunID{ULID: r.ID.Bytes}, Environment: stepwell.EnvironmentID{UUID: r.EnvironmentID.Bytes},
		Function: stepwell.FunctionID{UUID: r.FunctionID.Bytes}, FunctionVersion: int(r.FunctionVersion),
		EventName: r.EventName, Status: stepwell.RunStatus(r.Status), Skip: stepwell.SkipReason(r.Skip),
		Existing: stepwell.RunID{ULID: r.ExistingID.Bytes}, Output: r.Output,
		CreatedAt: fromTime(r.CreatedAt), StartedAt: fromTime(r.StartedAt), EndedAt: fromTime(r.EndedAt),
		Priority: time.Duration(r.PriorityNanos),
		Progress: stepwell.Progress{
			RequestVersion: int(r.RequestVersion), DiscoveryCount: int(r.DiscoveryCount), Rediscover: r.Rediscover.Bool,
			StepCount: int(r.StepCount), StateBytes: int(r.StateBytes),
			DeferCount: int(r.DeferCount), DeferBytes: int(r.DeferBytes),
		},
	}
	for _, id := range r.EventIds {
		run.Events = append(run.Events, stepwell.EventID{ULID: id.Bytes})
	}
	var err error
	if run.Limits, err = decodeList[stepwell.LimitKey](r.Limits); err != nil {
		return run, err
	}
	if run.Notes, err = decodeList[string](r.Notes); err != nil {
		return run, err
	}
	run.Progress.Open, err = decodeOpen(r.Open, run)
	return run, err
}

func fromEvent(row pgsql.GetEventRow) stepwell.Event {
	return stepwell.Event{
		ID: stepwell.EventID{ULID: row.ID.Bytes}, Environment: stepwell.EnvironmentID{UUID: row.EnvironmentID.Bytes},
		Key: row.Key.String, Name: row.Name, Data: row.Data, User: row.UserData, Meta: row.Meta,
		Version: row.Version.String, Time: fromTime(row.OccurredAt), ReceivedAt: fromTime(row.ReceivedAt),
		Trace: stepwell.TraceOf(row.Trace),
	}
}

func fromStep(row pgsql.StepsOfRunRow) stepwell.Step {
	return stepwell.Step{
		ID: stepwell.StepID(row.StepID), Name: row.Name, Kind: stepwell.StepKind(row.Kind),
		Status:   stepwell.StepStatus(row.Status),
		Result:   stepwell.Result{Kind: stepwell.ResultKind(row.ResultKind.Int16), JSON: row.Result},
		OpenedAt: fromTime(row.OpenedAt), StartedAt: fromTime(row.StartedAt), EndedAt: fromTime(row.EndedAt),
		DueAt: fromTime(row.DueAt), Event: stepwell.EventID{ULID: row.EventID.Bytes}, Order: int(row.RecordedOrder),
	}
}

func fromAttempt(row pgsql.Attempt) stepwell.Attempt {
	return stepwell.Attempt{
		Item: globalItem(stepwell.RunID{ULID: row.RunID.Bytes}, row.Item), Step: stepwell.StepID(row.StepID.String),
		StepName: row.StepName.String, Number: int(row.Number), Status: stepwell.AttemptStatus(row.Status),
		StartedAt: fromTime(row.StartedAt), EndedAt: fromTime(row.EndedAt), NextAt: fromTime(row.NextAt),
		HTTPStatus: int(row.HttpStatus), Error: row.Error,
	}
}

func fromApp(row pgsql.App) stepwell.App {
	return stepwell.App{
		ID: stepwell.AppID{UUID: row.ID.Bytes}, Environment: stepwell.EnvironmentID{UUID: row.EnvironmentID.Bytes},
		Name: row.Name, URL: row.Url, SDK: row.Sdk, Framework: row.Framework, Version: row.Version,
		Checksum: row.Checksum, SyncedAt: fromTime(row.SyncedAt),
	}
}

func fromFunction(row pgsql.Function) (stepwell.Function, error) {
	function := stepwell.Function{
		ID: stepwell.FunctionID{UUID: row.ID.Bytes}, Environment: stepwell.EnvironmentID{UUID: row.EnvironmentID.Bytes},
		App: stepwell.AppID{UUID: row.AppID.Bytes}, Slug: row.Slug, Name: row.Name, Version: int(row.Version),
		URL: row.Url, Retries: int(row.Retries), CreatedAt: fromTime(row.CreatedAt), ArchivedAt: fromTime(row.ArchivedAt),
		Hold: stepwell.Hold(row.Hold),
	}
	if err := json.Unmarshal(row.Triggers, &function.Triggers); err != nil {
		return function, fmt.Errorf("decode triggers of %s: %w", row.Slug, err)
	}
	if err := json.Unmarshal(row.FlowControl, &function.FlowControl); err != nil {
		return function, fmt.Errorf("decode flow control of %s: %w", row.Slug, err)
	}
	return function, nil
}
