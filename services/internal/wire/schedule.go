package wire

import (
	functionv1 "github.com/stepwell/stepwell/proto/gen/stepwell/function/v1"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Schedule is the message of a schedule.
func Schedule(s stepwell.Schedule) *functionv1.Schedule {
	return &functionv1.Schedule{
		EnvironmentId: UUID(s.Environment.UUID), FunctionId: UUID(s.Function.UUID), Cron: s.Cron, NextTime: Time(s.NextAt),
	}
}

// FromSchedule is the schedule of a message.
func FromSchedule(m *functionv1.Schedule) stepwell.Schedule {
	return stepwell.Schedule{
		Environment: stepwell.EnvironmentID{UUID: FromUUID(m.GetEnvironmentId())},
		Function:    stepwell.FunctionID{UUID: FromUUID(m.GetFunctionId())},
		Cron:        m.GetCron(), NextAt: FromTime(m.GetNextTime()),
	}
}
