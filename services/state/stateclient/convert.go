package stateclient

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	statev1 "github.com/stepwell/stepwell/proto/gen/stepwell/state/v1"
	"github.com/stepwell/stepwell/services/internal/rpc"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/wire"
	"github.com/stepwell/stepwell/services/state/store"
)

// The server's half of these conversions is in package state.

func ingest(i store.Ingest) *statev1.Ingest {
	return &statev1.Ingest{
		EnvironmentId: wire.UUID(i.Environment.UUID), Revision: i.Revision,
		Events: wire.Each(i.Events, func(e store.IngestEvent) *statev1.IngestEvent {
			return &statev1.IngestEvent{
				Event:       wire.Event(e.Event),
				Starts:      wire.Each(e.Starts, wire.RunStart),
				Transitions: wire.Each(e.Transitions, wire.Transition),
			}
		}),
		Cancels: wire.Each(i.Cancels, wire.Transition),
		Fires: wire.Each(i.Fires, func(f store.Fire) *statev1.Fire {
			return &statev1.Fire{Start: wire.RunStart(f.Start), KeyHash: f.KeyHash}
		}),
		Unrouted: i.Unrouted, Time: wire.Time(i.Now), Trace: i.Trace.Bytes(),
	}
}

func fromIngested(m *statev1.Ingested) store.Ingested {
	return store.Ingested{
		Err: fromFailure(m.GetFailure()),
		Runs: wire.Each(m.GetEvents(), func(m *statev1.IngestedEvent) []store.StartedRun {
			return wire.Each(m.GetRuns(), fromStartedRun)
		}),
		Fired: wire.Each(m.GetFired(), fromStartedRun), FiresAt: wire.FromTime(m.GetFireTime()),
		Opened: wire.Each(m.GetOpened(), wire.FromItem), Dropped: wire.FromItemIDs(m.GetDropped()),
		ForRunner: m.GetForRunner(), Cancelled: wire.Each(m.GetCancelled(), runID),
		Awaited: wire.Each(m.GetAwaited(), func(b []byte) stepwell.EventID { return stepwell.EventID{ULID: wire.FromULID(b)} }),
	}
}

func fromStartedRun(m *statev1.StartedRun) store.StartedRun {
	run := store.StartedRun{
		ID: stepwell.RunID{ULID: wire.FromULID(m.GetId())}, Existed: m.GetExisted(), Skip: wire.FromSkipReason(m.GetSkip()),
		Buffered: m.GetBuffered(), Displaces: m.GetDisplaces(),
	}
	if m.GetSkipped() && run.Skip == stepwell.SkipNone {
		run.Skip = stepwell.SkipRateLimited // an older release knows no other reason, and does not say it
	}
	return run
}

func fromDueBuffer(m *statev1.DueBuffer) store.DueBuffer {
	return store.DueBuffer{Buffer: wire.FromBuffer(m.GetBuffer()), Event: wire.FromEvent(m.GetEvent())}
}

func fromLookBack(m *statev1.LookBack) store.LookBack {
	return store.LookBack{Wait: wire.FromWait(m.GetWait()), Events: wire.Each(m.GetEvents(), wire.FromEvent), More: m.GetMore()}
}

func runID(b []byte) stepwell.RunID { return stepwell.RunID{ULID: wire.FromULID(b)} }

func eventID(id stepwell.EventID) []byte { return wire.ULID(id.ULID) }

func fromCommitted(m *statev1.Committed) store.Committed {
	return store.Committed{
		Err: fromFailure(m.GetFailure()), Opened: wire.Each(m.GetOpened(), wire.FromItem),
		Dropped: wire.FromItemIDs(m.GetDropped()), PriorStepCount: int(m.GetPriorStepCount()),
		ForRunner: m.GetForRunner(),
	}
}

func fromLoaded(m *statev1.LoadedRun) store.Loaded {
	if m.GetFailure() != nil {
		return store.Loaded{Err: fromFailure(m.GetFailure())}
	}
	return store.Loaded{State: wire.FromRunState(m.GetState())}
}

func fromFailure(m *statev1.Failure) error {
	if m == nil {
		return nil
	}
	return rpc.FromStatus(status.New(codes.Code(m.GetCode()), m.GetMessage()))
}
