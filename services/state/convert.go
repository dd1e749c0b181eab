package state

import (
	statev1 "github.com/stepwell/stepwell/proto/gen/stepwell/state/v1"
	"github.com/stepwell/stepwell/services/internal/rpc"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/wire"
	"github.com/stepwell/stepwell/services/state/store"
)

// The client's half of these conversions is in package stateclient.

func fromIngest(m *statev1.Ingest) store.Ingest {
	return store.Ingest{
		Environment: environmentID(m.GetEnvironmentId()), Revision: m.GetRevision(),
		Events: wire.Each(m.GetEvents(), func(m *statev1.IngestEvent) store.IngestEvent {
			return store.IngestEvent{
				Event:       wire.FromEvent(m.GetEvent()),
				Starts:      wire.Each(m.GetStarts(), wire.FromRunStart),
				Transitions: wire.Each(m.GetTransitions(), wire.FromTransition),
			}
		}),
		Cancels: wire.Each(m.GetCancels(), wire.FromTransition),
		Fires: wire.Each(m.GetFires(), func(m *statev1.Fire) store.Fire {
			return store.Fire{Start: wire.FromRunStart(m.GetStart()), KeyHash: m.GetKeyHash()}
		}),
		Unrouted: m.GetUnrouted(), Now: wire.FromTime(m.GetTime()), Trace: stepwell.TraceOf(m.GetTrace()),
	}
}

func ingested(i store.Ingested) *statev1.Ingested {
	return &statev1.Ingested{
		Failure: failure(i.Err),
		Events: wire.Each(i.Runs, func(runs []store.StartedRun) *statev1.IngestedEvent {
			return &statev1.IngestedEvent{Runs: wire.Each(runs, startedRun)}
		}),
		Fired: wire.Each(i.Fired, startedRun), FireTime: wire.Time(i.FiresAt),
		Opened: wire.Each(i.Opened, wire.Item), Dropped: wire.ItemIDs(i.Dropped),
		ForRunner: i.ForRunner, Cancelled: wire.Each(i.Cancelled, func(id stepwell.RunID) []byte { return wire.ULID(id.ULID) }),
		Awaited: wire.Each(i.Awaited, func(id stepwell.EventID) []byte { return wire.ULID(id.ULID) }),
	}
}

func startedRun(run store.StartedRun) *statev1.StartedRun {
	return &statev1.StartedRun{
		Id: wire.ULID(run.ID.ULID), Existed: run.Existed, Skipped: run.Skip != stepwell.SkipNone, Skip: wire.SkipReason(run.Skip),
		Buffered: run.Buffered, Displaces: run.Displaces,
	}
}

func dueBuffer(due store.DueBuffer) *statev1.DueBuffer {
	return &statev1.DueBuffer{Buffer: wire.Buffer(due.Buffer), Event: wire.Event(due.Event)}
}

func lookBack(l store.LookBack) *statev1.LookBack {
	events := fitting(l.Events)
	return &statev1.LookBack{
		Wait: wire.Wait(l.Wait), Events: wire.Each(events, wire.Event), More: l.More || len(events) < len(l.Events),
	}
}

func eventID(b []byte) stepwell.EventID { return stepwell.EventID{ULID: wire.FromULID(b)} }

func committed(c store.Committed) *statev1.Committed {
	return &statev1.Committed{
		Failure: failure(c.Err), Opened: wire.Each(c.Opened, wire.Item), Dropped: wire.ItemIDs(c.Dropped),
		PriorStepCount: int32(c.PriorStepCount), ForRunner: c.ForRunner,
	}
}

func loaded(l store.Loaded) *statev1.LoadedRun {
	if l.Err != nil {
		return &statev1.LoadedRun{Failure: failure(l.Err)}
	}
	return &statev1.LoadedRun{State: wire.RunState(l.State)}
}

func failure(err error) *statev1.Failure {
	if err == nil {
		return nil
	}
	s := rpc.ToStatus(err)
	return &statev1.Failure{Code: int32(s.Code()), Message: s.Message()}
}

func environmentID(b []byte) stepwell.EnvironmentID {
	return stepwell.EnvironmentID{UUID: wire.FromUUID(b)}
}

func runID(b []byte) stepwell.RunID { return stepwell.RunID{ULID: wire.FromULID(b)} }

// pageSize is the size asked for, within bounds; 0 means the most.
func pageSize(asked int32) int {
	if asked <= 0 || asked > store.PageMax {
		return store.PageMax
	}
	return int(asked)
}
