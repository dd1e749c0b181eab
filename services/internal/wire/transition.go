package wire

import (
	runv1 "github.com/stepwell/stepwell/proto/gen/stepwell/run/v1"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Transition is the message of a transition.
func Transition(t stepwell.Transition) *runv1.Transition {
	return &runv1.Transition{
		RunId: ULID(t.Run.ULID), EnvironmentId: UUID(t.Environment.UUID), Settles: string(t.Settles), Generation: int32(t.Generation), Keep: t.Keep,
		Time: Time(t.At), Attempt: optional(t.Attempt, Attempt), Records: Each(t.Records, Step),
		Opens: Each(t.Opens, opening), Retry: optional(t.Retry, Item),
		RequestVersion: int32(t.RequestVersion),
		End:            optional(t.End, end),
		Trace:          t.Trace.Bytes(),
	}
}

// FromTransition is the transition of a message.
func FromTransition(m *runv1.Transition) stepwell.Transition {
	return stepwell.Transition{
		Run:         stepwell.RunID{ULID: FromULID(m.GetRunId())},
		Environment: stepwell.EnvironmentID{UUID: FromUUID(m.GetEnvironmentId())}, Settles: stepwell.ItemID(m.GetSettles()),
		Generation: int(m.GetGeneration()), Keep: m.GetKeep(), At: FromTime(m.GetTime()),
		Attempt: fromOptional(m.GetAttempt(), FromAttempt), Records: Each(m.GetRecords(), FromStep),
		Opens: Each(m.GetOpens(), fromOpening), Retry: fromOptional(m.GetRetry(), FromItem),
		RequestVersion: int(m.GetRequestVersion()),
		End:            fromOptional(m.GetEnd(), fromEnd),
		Trace:          stepwell.TraceOf(m.GetTrace()),
	}
}

func end(e stepwell.End) *runv1.End {
	return &runv1.End{
		Status: RunStatus(e.Status), Output: e.Output, Emits: Each(e.Emits, Event), Unheard: e.Unheard, DeferCount: int32(e.DeferCount),
		Resumes: Each(e.Resumes, resume),
	}
}

func fromEnd(m *runv1.End) stepwell.End {
	return stepwell.End{
		Status: FromRunStatus(m.GetStatus()), Output: m.GetOutput(), Emits: Each(m.GetEmits(), FromEvent), DeferCount: int(m.GetDeferCount()),
		Unheard: m.GetUnheard(), Resumes: Each(m.GetResumes(), fromResume),
	}
}

func resume(r stepwell.Resume) *runv1.Resume {
	return &runv1.Resume{ItemId: string(r.Item), Step: Step(r.Step)}
}

func fromResume(m *runv1.Resume) stepwell.Resume {
	return stepwell.Resume{Item: stepwell.ItemID(m.GetItemId()), Step: FromStep(m.GetStep())}
}

func opening(o stepwell.Opening) *runv1.Opening {
	return &runv1.Opening{
		Step: Step(o.Step), Item: Item(o.Item), Wait: optional(o.Wait, Wait), Emits: optional(o.Emits, Event),
	}
}

func fromOpening(m *runv1.Opening) stepwell.Opening {
	return stepwell.Opening{
		Step: FromStep(m.GetStep()), Item: FromItem(m.GetItem()), Wait: fromOptional(m.GetWait(), FromWait),
		Emits: fromOptional(m.GetEmits(), FromEvent),
	}
}

// Wait is the message of a wait.
func Wait(w stepwell.Wait) *runv1.Wait {
	return &runv1.Wait{
		RunId: ULID(w.Run.ULID), EnvironmentId: UUID(w.Environment.UUID), Kind: enum[runv1.WaitKind](w.Kind),
		Item: Item(w.Item), Name: w.Name, Expression: w.Expression, Shape: w.Shape, KeyHash: w.KeyHash,
		Since: Time(w.Since), Until: Time(w.Until), Replaces: w.Replaces,
	}
}

// FromWait is the wait of a message.
func FromWait(m *runv1.Wait) stepwell.Wait {
	return stepwell.Wait{
		Run:         stepwell.RunID{ULID: FromULID(m.GetRunId())},
		Environment: stepwell.EnvironmentID{UUID: FromUUID(m.GetEnvironmentId())},
		Kind:        fromEnum[stepwell.WaitKind](m.GetKind()), Item: FromItem(m.GetItem()), Name: m.GetName(),
		Expression: m.GetExpression(), Shape: m.GetShape(), KeyHash: m.GetKeyHash(), Since: FromTime(m.GetSince()),
		Until: FromTime(m.GetUntil()), Replaces: m.GetReplaces(),
	}
}

// Deadline is the message of a deadline.
func Deadline(d stepwell.Deadline) *runv1.Deadline {
	return &runv1.Deadline{RunId: ULID(d.Run.ULID), Time: Time(d.At)}
}

// FromDeadline is the deadline of a message.
func FromDeadline(m *runv1.Deadline) stepwell.Deadline {
	return stepwell.Deadline{Run: stepwell.RunID{ULID: FromULID(m.GetRunId())}, At: FromTime(m.GetTime())}
}

// RunStart is the message of a run's start.
func RunStart(s stepwell.RunStart) *runv1.RunStart {
	return &runv1.RunStart{
		Run: Run(s.Run), Key: s.Key, Waits: Each(s.Waits, Wait), Once: s.Once, Refused: optional(s.Refused, resume),
		Deadline: Time(s.Deadline),
		Rate: optional(s.Rate, func(r stepwell.Rate) *runv1.Rate {
			return &runv1.Rate{Key: r.Key, Limit: int32(r.Limit), Period: duration(r.Period)}
		}),
		Place: optional(s.Place, func(p stepwell.Place) *runv1.Place {
			return &runv1.Place{Key: p.Key, Takes: p.Takes, Refused: optional(p.Refused, resume)}
		}),
		Buffering: optional(s.Buffering, buffering),
	}
}

// FromRunStart is the run's start of a message.
func FromRunStart(m *runv1.RunStart) stepwell.RunStart {
	return stepwell.RunStart{
		Run: FromRun(m.GetRun()), Key: m.GetKey(), Waits: Each(m.GetWaits(), FromWait), Once: m.GetOnce(),
		Refused:  fromOptional(m.GetRefused(), fromResume),
		Deadline: FromTime(m.GetDeadline()),
		Rate: fromOptional(m.GetRate(), func(m *runv1.Rate) stepwell.Rate {
			return stepwell.Rate{Key: m.GetKey(), Limit: int(m.GetLimit()), Period: m.GetPeriod().AsDuration()}
		}),
		Place: fromOptional(m.GetPlace(), func(m *runv1.Place) stepwell.Place {
			return stepwell.Place{Key: m.GetKey(), Takes: m.GetTakes(), Refused: fromOptional(m.GetRefused(), fromResume)}
		}),
		Buffering: fromOptional(m.GetBuffering(), fromBuffering),
	}
}
