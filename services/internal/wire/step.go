package wire

import (
	runv1 "github.com/stepwell/stepwell/proto/gen/stepwell/run/v1"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Step is the message of a step.
func Step(s stepwell.Step) *runv1.Step {
	m := &runv1.Step{
		Id: string(s.ID), Name: s.Name, Kind: enum[runv1.StepKind](s.Kind), Status: enum[runv1.StepStatus](s.Status),
		OpenTime: Time(s.OpenedAt), StartTime: Time(s.StartedAt), EndTime: Time(s.EndedAt), DueTime: Time(s.DueAt),
		Order: int32(s.Order), EventId: ULID(s.Event.ULID),
	}
	if s.Status != stepwell.StepOpen {
		m.Result = &runv1.Result{Kind: enum[runv1.ResultKind](s.Result.Kind), Json: s.Result.JSON}
	}
	return m
}

// FromStep is the step of a message.
func FromStep(m *runv1.Step) stepwell.Step {
	return stepwell.Step{
		ID: stepwell.StepID(m.GetId()), Name: m.GetName(), Kind: fromEnum[stepwell.StepKind](m.GetKind()),
		Status: fromEnum[stepwell.StepStatus](m.GetStatus()),
		Result: stepwell.Result{
			Kind: fromEnum[stepwell.ResultKind](m.GetResult().GetKind()), JSON: m.GetResult().GetJson(),
		},
		OpenedAt: FromTime(m.GetOpenTime()), StartedAt: FromTime(m.GetStartTime()), EndedAt: FromTime(m.GetEndTime()),
		DueAt: FromTime(m.GetDueTime()), Order: int(m.GetOrder()), Event: stepwell.EventID{ULID: FromULID(m.GetEventId())},
	}
}

// Attempt is the message of an attempt.
func Attempt(a stepwell.Attempt) *runv1.Attempt {
	return &runv1.Attempt{
		ItemId: string(a.Item), StepId: string(a.Step), StepName: a.StepName, Number: int32(a.Number),
		Status: enum[runv1.AttemptStatus](a.Status), StartTime: Time(a.StartedAt), EndTime: Time(a.EndedAt),
		NextTime: Time(a.NextAt), HttpStatus: int32(a.HTTPStatus), Error: a.Error,
	}
}

// FromAttempt is the attempt of a message.
func FromAttempt(m *runv1.Attempt) stepwell.Attempt {
	return stepwell.Attempt{
		Item: stepwell.ItemID(m.GetItemId()), Step: stepwell.StepID(m.GetStepId()), StepName: m.GetStepName(),
		Number: int(m.GetNumber()),
		Status: fromEnum[stepwell.AttemptStatus](m.GetStatus()), StartedAt: FromTime(m.GetStartTime()),
		EndedAt: FromTime(m.GetEndTime()), NextAt: FromTime(m.GetNextTime()), HTTPStatus: int(m.GetHttpStatus()),
		Error: m.GetError(),
	}
}
