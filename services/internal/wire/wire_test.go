package wire_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/wire"
)

// TestNounsSurviveTheWire: every field of every noun comes back as it was, whatever else is set. A field that one
// direction forgets, or two that are swapped, fail the first part; one that is only right in company fails the second.
func TestNounsSurviveTheWire(t *testing.T) {
	t.Parallel()
	survives(t, "event", wire.Event, wire.FromEvent)
	survives(t, "app", wire.App, wire.FromApp)
	survives(t, "function", wire.Function, wire.FromFunction)
	survives(t, "schedule", wire.Schedule, wire.FromSchedule)
	survives(t, "run", wire.Run, wire.FromRun)
	survives(t, "run state", wire.RunState, wire.FromRunState)
	survives(t, "run history", wire.RunHistory, wire.FromRunHistory)
	survives(t, "run start", wire.RunStart, wire.FromRunStart)
	survives(t, "buffer", wire.Buffer, wire.FromBuffer)
	survives(t, "item", wire.Item, wire.FromItem)
	survives(t, "throttle start", wire.ThrottleStart, wire.FromThrottleStart)
	survives(t, "step", wire.Step, wire.FromStep)
	survives(t, "attempt", wire.Attempt, wire.FromAttempt)
	survives(t, "transition", wire.Transition, wire.FromTransition)
}

func survives[Noun any, Message proto.Message](
	t *testing.T, name string, to func(Noun) Message, from func(Message) Noun,
) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		full := filled[Noun](t)
		message := to(full)
		requireFull(t, message.ProtoReflect())
		require.Empty(t, cmp.Diff(full, from(sent(t, message))))

		var zero Noun
		require.Empty(t, cmp.Diff(zero, from(sent(t, to(zero)))))

		rapid.Check(t, func(t *rapid.T) {
			noun := drawn[Noun](t)
			require.Empty(t, cmp.Diff(noun, from(sent(t, to(noun)))))
		})
	})
}

// sent is the message after it went over the wire.
func sent[Message proto.Message](t require.TestingT, m Message) Message {
	encoded, err := proto.Marshal(m)
	require.NoError(t, err)
	received, ok := m.ProtoReflect().New().Interface().(Message)
	require.True(t, ok)
	require.NoError(t, proto.Unmarshal(encoded, received))
	return received
}

// requireFull checks that every field of the message is set, and of those within: none is there for nothing.
func requireFull(t *testing.T, m protoreflect.Message) {
	t.Helper()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		require.True(t, m.Has(field) || field.FullName().Parent() == "google.protobuf.Timestamp",
			"%s is not set", field.FullName())
		switch {
		case field.Message() == nil:
		case field.IsList():
			for j := range m.Get(field).List().Len() {
				requireFull(t, m.Get(field).List().Get(j).Message())
			}
		case m.Get(field).Message().Descriptor().ParentFile().Package() != "google.protobuf":
			requireFull(t, m.Get(field).Message())
		}
	}
}

// TestOpenStepHasNoResult: a reader of the message can tell that there is none yet.
func TestOpenStepHasNoResult(t *testing.T) {
	t.Parallel()
	require.Nil(t, wire.Step(stepwell.Step{Status: stepwell.StepOpen}).GetResult())
	require.NotNil(t, wire.Step(stepwell.Step{Status: stepwell.StepCompleted}).GetResult())
	require.NotNil(t, wire.Step(stepwell.Step{Status: stepwell.StepFailed}).GetResult())
}

// TestAbsentIsUnset: the zero time and the zero id are not sent as instants and bytes of their own.
func TestAbsentIsUnset(t *testing.T) {
	t.Parallel()
	require.Nil(t, wire.Time(time.Time{}))
	require.True(t, wire.FromTime(nil).IsZero())
	require.Nil(t, wire.ULID(ulid.ULID{}))
	require.Nil(t, wire.UUID(uuid.UUID{}))
	require.Nil(t, wire.Function(stepwell.Function{}).GetFlowControl().GetStartWithin())
	require.Nil(t, wire.Function(stepwell.Function{}).GetFlowControl().GetThrottle())
	epoch := time.Unix(0, 0).UTC()
	require.Equal(t, epoch, wire.FromTime(wire.Time(epoch)), "the epoch is an instant like any other")
}

func TestInstantsComeBackInUTC(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.FixedZone("", 3600))
	require.Equal(t, at.UTC(), wire.FromTime(wire.Time(at)))
}

// TestIDsOfAWrongLengthAreZero: whoever uses one checks it.
func TestIDsOfAWrongLengthAreZero(t *testing.T) {
	t.Parallel()
	for _, length := range []int{0, 1, 15, 17, 36} {
		b := make([]byte, length)
		for i := range b {
			b[i] = 0xff
		}
		require.Equal(t, ulid.ULID{}, wire.FromULID(b), length)
		require.Equal(t, uuid.Nil, wire.FromUUID(b), length)
	}
}

// TestIDsAreCopied: bytes of a message may be used again by whoever decoded it.
func TestIDsAreCopied(t *testing.T) {
	t.Parallel()
	b := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	asULID, asUUID := wire.FromULID(b), wire.FromUUID(b)
	b[0] = 99
	require.Equal(t, byte(1), asULID[0])
	require.Equal(t, byte(1), asUUID[0])
}

func TestItemIDsAreTexts(t *testing.T) {
	t.Parallel()
	ids := []stepwell.ItemID{"a", "b"}
	require.Equal(t, []string{"a", "b"}, wire.ItemIDs(ids))
	require.Equal(t, ids, wire.FromItemIDs([]string{"a", "b"}))
	require.Nil(t, wire.ItemIDs(nil))
	require.Nil(t, wire.FromItemIDs(nil))
}
