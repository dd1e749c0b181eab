package wire

import (
	"time"

	functionv1 "github.com/stepwell/stepwell/proto/gen/stepwell/function/v1"
	runv1 "github.com/stepwell/stepwell/proto/gen/stepwell/run/v1"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// SkipReason is the proto value of a reason.
func SkipReason(r stepwell.SkipReason) runv1.SkipReason { return enum[runv1.SkipReason](r) }

// FromSkipReason is the reason of a proto value.
func FromSkipReason(r runv1.SkipReason) stepwell.SkipReason { return fromEnum[stepwell.SkipReason](r) }

// RunStatus is the value of a status.
func RunStatus(s stepwell.RunStatus) runv1.RunStatus { return enum[runv1.RunStatus](s) }

// FromRunStatus is the status of a value.
func FromRunStatus(s runv1.RunStatus) stepwell.RunStatus { return fromEnum[stepwell.RunStatus](s) }

// Run is the message of a run.
func Run(r stepwell.Run) *runv1.Run {
	return &runv1.Run{
		Id: ULID(r.ID.ULID), EnvironmentId: UUID(r.Environment.UUID), FunctionId: UUID(r.Function.UUID),
		FunctionVersion: int32(r.FunctionVersion), EventName: r.EventName, Status: RunStatus(r.Status),
		EventIds: Each(r.Events, func(id stepwell.EventID) []byte { return ULID(id.ULID) }),
		Skip:     SkipReason(r.Skip), ExistingRunId: ULID(r.Existing.ULID), Output: r.Output, CreateTime: Time(r.CreatedAt), StartTime: Time(r.StartedAt), EndTime: Time(r.EndedAt),
		PriorityNanos: int64(r.Priority), Limits: Each(r.Limits, limitKey), Notes: r.Notes,
		Progress: &runv1.Progress{
			RequestVersion: int32(r.Progress.RequestVersion), Open: Each(r.Progress.Open, Item),
			DiscoveryCount: int32(r.Progress.DiscoveryCount), Rediscover: r.Progress.Rediscover,
			StepCount: int32(r.Progress.StepCount), StateBytes: int64(r.Progress.StateBytes),
			DeferCount: int32(r.Progress.DeferCount), DeferBytes: int32(r.Progress.DeferBytes),
		},
	}
}

// FromRun is the run of a message.
func FromRun(m *runv1.Run) stepwell.Run {
	progress := m.GetProgress()
	return stepwell.Run{
		ID:              stepwell.RunID{ULID: FromULID(m.GetId())},
		Environment:     stepwell.EnvironmentID{UUID: FromUUID(m.GetEnvironmentId())},
		Function:        stepwell.FunctionID{UUID: FromUUID(m.GetFunctionId())},
		FunctionVersion: int(m.GetFunctionVersion()),
		Events: Each(m.GetEventIds(), func(id []byte) stepwell.EventID {
			return stepwell.EventID{ULID: FromULID(id)}
		}),
		EventName: m.GetEventName(), Status: FromRunStatus(m.GetStatus()), Output: m.GetOutput(),
		Skip: FromSkipReason(m.GetSkip()), Existing: stepwell.RunID{ULID: FromULID(m.GetExistingRunId())},
		CreatedAt: FromTime(m.GetCreateTime()), StartedAt: FromTime(m.GetStartTime()), EndedAt: FromTime(m.GetEndTime()),
		Priority: time.Duration(m.GetPriorityNanos()), Limits: Each(m.GetLimits(), fromLimitKey), Notes: m.GetNotes(),
		Progress: stepwell.Progress{
			RequestVersion: int(progress.GetRequestVersion()), Open: Each(progress.GetOpen(), FromItem),
			DiscoveryCount: int(progress.GetDiscoveryCount()), Rediscover: progress.GetRediscover(),
			StepCount: int(progress.GetStepCount()), StateBytes: int(progress.GetStateBytes()),
			DeferCount: int(progress.GetDeferCount()), DeferBytes: int(progress.GetDeferBytes()),
		},
	}
}

// RunState is the message of a run's state.
func RunState(s stepwell.RunState) *runv1.RunState {
	return &runv1.RunState{
		Run: Run(s.Run), Function: Function(s.Function), App: App(s.App),
		Events: Each(s.Events, Event), Steps: Each(s.Steps, Step), Defers: Each(s.Defers, Step),
	}
}

// FromRunState is the run's state of a message.
func FromRunState(m *runv1.RunState) stepwell.RunState {
	return stepwell.RunState{
		Run: FromRun(m.GetRun()), Function: FromFunction(m.GetFunction()), App: FromApp(m.GetApp()),
		Events: Each(m.GetEvents(), FromEvent), Steps: Each(m.GetSteps(), FromStep),
		Defers: Each(m.GetDefers(), FromStep),
	}
}

// RunHistory is the message of a run's history.
func RunHistory(h stepwell.RunHistory) *runv1.RunHistory {
	return &runv1.RunHistory{
		Run: Run(h.Run), Function: Function(h.Function), App: App(h.App),
		Events: Each(h.Events, Event), Steps: Each(h.Steps, Step), Attempts: Each(h.Attempts, Attempt),
	}
}

// FromRunHistory is the run's history of a message.
func FromRunHistory(m *runv1.RunHistory) stepwell.RunHistory {
	return stepwell.RunHistory{
		Run: FromRun(m.GetRun()), Function: FromFunction(m.GetFunction()), App: FromApp(m.GetApp()),
		Events: Each(m.GetEvents(), FromEvent), Steps: Each(m.GetSteps(), FromStep),
		Attempts: Each(m.GetAttempts(), FromAttempt),
	}
}

// Item is the message of an item.
func Item(i stepwell.Item) *runv1.Item {
	return &runv1.Item{
		Id: string(i.ID), RunId: ULID(i.Run.ULID), FunctionId: UUID(i.Function.UUID),
		Kind: enum[runv1.ItemKind](i.Kind), StepId: string(i.Step), Number: int32(i.Number),
		Attempt: int32(i.Attempt), Forgiven: int32(i.Forgiven), Race: i.Race, DueTime: Time(i.DueAt), Parked: i.Parked,
		UnreachedSinceTime: Time(i.UnreachedSince), WaitsSinceTime: Time(i.WaitsSince), Generation: int32(i.Generation), PriorityNanos: int64(i.Priority),
		Limits: Each(i.Limits, limitKey),
	}
}

// FromItem is the item of a message.
func FromItem(m *runv1.Item) stepwell.Item {
	return stepwell.Item{
		ID: stepwell.ItemID(m.GetId()), Run: stepwell.RunID{ULID: FromULID(m.GetRunId())},
		Function: stepwell.FunctionID{UUID: FromUUID(m.GetFunctionId())},
		Kind:     fromEnum[stepwell.ItemKind](m.GetKind()), Step: stepwell.StepID(m.GetStepId()),
		Number: int(m.GetNumber()), Attempt: int(m.GetAttempt()), Forgiven: int(m.GetForgiven()), Race: m.GetRace(),
		DueAt: FromTime(m.GetDueTime()), Parked: m.GetParked(), UnreachedSince: FromTime(m.GetUnreachedSinceTime()),
		WaitsSince: FromTime(m.GetWaitsSinceTime()),
		Generation: int(m.GetGeneration()), Priority: time.Duration(m.GetPriorityNanos()),
		Limits: Each(m.GetLimits(), fromLimitKey),
	}
}

// ThrottleStart is a start as a message.
func ThrottleStart(s stepwell.ThrottleStart) *runv1.ThrottleStart {
	return &runv1.ThrottleStart{Item: Item(s.Item), AtTime: Time(s.At)}
}

// FromThrottleStart is the start of a message.
func FromThrottleStart(m *runv1.ThrottleStart) stepwell.ThrottleStart {
	return stepwell.ThrottleStart{Item: FromItem(m.GetItem()), At: FromTime(m.GetAtTime())}
}

func limitKey(k stepwell.LimitKey) *runv1.LimitKey {
	return &runv1.LimitKey{
		Kind: enum[runv1.LimitKind](k.Kind), Scope: enum[functionv1.Scope](k.Scope), Key: k.Key, Value: k.Value,
	}
}

func fromLimitKey(m *runv1.LimitKey) stepwell.LimitKey {
	name := stepwell.LimitName{
		Kind: fromEnum[stepwell.LimitKind](m.GetKind()), Scope: fromEnum[stepwell.Scope](m.GetScope()), Key: m.GetKey(),
	}
	return stepwell.LimitKey{LimitName: name, Value: m.GetValue()}
}

// ItemIDs are the texts of item ids.
func ItemIDs(ids []stepwell.ItemID) []string {
	return Each(ids, func(id stepwell.ItemID) string { return string(id) })
}

// FromItemIDs are the item ids of texts.
func FromItemIDs(texts []string) []stepwell.ItemID {
	return Each(texts, func(text string) stepwell.ItemID { return stepwell.ItemID(text) })
}
