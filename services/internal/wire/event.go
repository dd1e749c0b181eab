package wire

import (
	eventv1 "github.com/stepwell/stepwell/proto/gen/stepwell/event/v1"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Event is the message of an event.
func Event(e stepwell.Event) *eventv1.Event {
	return &eventv1.Event{
		Id: ULID(e.ID.ULID), EnvironmentId: UUID(e.Environment.UUID), Key: e.Key, Name: e.Name,
		Data: e.Data, User: e.User, Time: Time(e.Time), Version: e.Version, Meta: e.Meta,
		ReceiveTime: Time(e.ReceivedAt), Trace: e.Trace.Bytes(),
	}
}

// FromEvent is the event of a message.
func FromEvent(m *eventv1.Event) stepwell.Event {
	return stepwell.Event{
		ID:          stepwell.EventID{ULID: FromULID(m.GetId())},
		Environment: stepwell.EnvironmentID{UUID: FromUUID(m.GetEnvironmentId())},
		Key:         m.GetKey(), Name: m.GetName(), Data: m.GetData(), User: m.GetUser(),
		Time: FromTime(m.GetTime()), Version: m.GetVersion(), Meta: m.GetMeta(),
		ReceivedAt: FromTime(m.GetReceiveTime()), Trace: stepwell.TraceOf(m.GetTrace()),
	}
}
