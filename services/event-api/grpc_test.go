package eventapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/stepwell/stepwell/proto/gen/stepwell/event/v1"
	eventapi "github.com/stepwell/stepwell/services/event-api"
	"github.com/stepwell/stepwell/services/internal/rpc"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// dial serves the rig over gRPC and returns a client.
func (r *rig) dial() eventv1.EventServiceClient {
	r.t.Helper()
	network := rpc.NewMemory()
	listener, err := network.Listen(eventapi.Name)
	require.NoError(r.t, err)
	conn, err := network.Dial(eventapi.Name)
	require.NoError(r.t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	served := make(chan error, 1)
	server := rpc.NewServer(listener, slog.New(slog.DiscardHandler), r.service.Register)
	go func() { served <- server.Run(ctx) }() // awaited by the cleanup
	r.t.Cleanup(func() {
		require.NoError(r.t, conn.Close())
		cancel()
		require.NoError(r.t, <-served)
	})
	return eventv1.NewEventServiceClient(conn)
}

func one(event *eventv1.NewEvent) *eventv1.PublishRequest {
	return &eventv1.PublishRequest{Events: []*eventv1.NewEvent{event}}
}

func TestPublishOverGRPC(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		now := time.Now().UTC()
		response, err := r.dial().Publish(t.Context(), &eventv1.PublishRequest{Events: []*eventv1.NewEvent{
			{Name: "a"},
			{
				Name: "b", Data: []byte(`{"n": 1.0,"_inngest":1}`), Id: "order-1", User: []byte(` {"u":1} `), Version: "2",
				Time: timestamppb.New(now.Add(time.Hour + 123_456_789)),
			},
		}})
		require.NoError(t, err)
		require.Len(t, r.runner.requests, 1)
		events := r.runner.requests[0]
		require.Equal(t, []string{events[0].ID.String(), events[1].ID.String()}, response.GetEventIds())
		require.IsIncreasing(t, response.GetEventIds())
		require.Equal(t, stepwell.Event{
			ID: events[0].ID, Environment: stepwell.DefaultEnvironment(), Name: "a", Data: json.RawMessage(`{}`),
			User: json.RawMessage(`{}`), Time: now, ReceivedAt: now,
		}, events[0])
		require.Equal(t, stepwell.Event{
			ID: events[1].ID, Environment: stepwell.DefaultEnvironment(), Key: "order-1", Name: "b",
			Data: json.RawMessage(`{"n":1.0}`), User: json.RawMessage(`{"u":1}`), Version: "2",
			Time: now.Add(time.Hour + 123*time.Millisecond), ReceivedAt: now,
		}, events[1])
	})
}

// TestKeyOfAGRPCCall: it goes into the metadata.
func TestKeyOfAGRPCCall(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, keys{})
	client := r.dial()
	publish := func(pairs ...string) error {
		_, err := client.Publish(metadata.AppendToOutgoingContext(t.Context(), pairs...), one(&eventv1.NewEvent{Name: "a"}))
		return err
	}
	for _, pairs := range [][]string{
		nil,
		{"authorization", ""},
		{"authorization", "Bearer wrong"},
		{"authorization", goodKey},
		{"authorization", "Basic " + goodKey},
		{"authorization", "Bearer"},
		{"key", "Bearer " + goodKey},
	} {
		err := publish(pairs...)
		require.ErrorIs(t, err, stepwell.ErrUnauthorized, pairs)
		require.EqualError(t, err, "Event key not found")
		require.Empty(t, r.runner.requests)
	}
	for i, value := range []string{"Bearer " + goodKey, "bearer " + goodKey, "Bearer   " + goodKey} {
		require.NoError(t, publish("authorization", value))
		require.Len(t, r.runner.requests, i+1)
		require.Equal(t, otherEnvironment(), r.runner.requests[i][0].Environment)
	}
}

// TestRequestIDMakesARetryHarmless: the same one yields the same event ids, and nothing starts twice.
func TestRequestIDMakesARetryHarmless(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.sync("charge", "a")
		client := r.dial()
		id := func(at time.Time) string {
			made, err := ulid.New(ulid.Timestamp(at), nil)
			require.NoError(t, err)
			return made.String()
		}
		request := one(&eventv1.NewEvent{Name: "a"})
		request.Events = append(request.Events, &eventv1.NewEvent{Name: "a"})
		for _, at := range []time.Time{time.Now(), time.Now().Add(-24 * time.Hour), time.Now().Add(24 * time.Hour)} {
			request.RequestId = id(at)
			before := len(r.runs())
			first, err := client.Publish(t.Context(), request)
			require.NoError(t, err)
			prefix := request.RequestId[:25]
			require.Equal(t, []string{prefix + "1", prefix + "2"}, first.GetEventIds())
			again, err := client.Publish(t.Context(), request)
			require.NoError(t, err)
			require.Equal(t, first.GetEventIds(), again.GetEventIds())
			require.Len(t, r.runs(), before+2)
		}
		for text, problem := range map[string]string{
			"again": `request_id: "again" is not a ULID`,
			id(time.Now().Add(-24*time.Hour - time.Millisecond)): "is not of the last 24 hours",
			id(time.Now().Add(24*time.Hour + time.Millisecond)):  "is not of the last 24 hours",
		} {
			request.RequestId = text
			_, err := client.Publish(t.Context(), request)
			require.ErrorIs(t, err, stepwell.ErrInvalid)
			require.ErrorContains(t, err, problem)
		}
		require.Len(t, r.runner.requests, 6)
	})
}

func TestErrorsOverGRPC(t *testing.T) {
	t.Parallel()
	many := &eventv1.PublishRequest{}
	for range stepwell.EventsPerRequestMax + 1 {
		many.Events = append(many.Events, &eventv1.NewEvent{Name: "a"})
	}
	tests := map[string]struct {
		request *eventv1.PublishRequest
		fail    error
		kind    error
		text    string
	}{
		"no events": {request: &eventv1.PublishRequest{}, kind: stepwell.ErrInvalid, text: "events is empty"},
		"too many": {
			request: many, kind: stepwell.ErrTooLarge, text: "5001 events in one request, at most 5000 are allowed",
		},
		"no name": {
			request: &eventv1.PublishRequest{Events: []*eventv1.NewEvent{{Name: "a"}, {}}}, kind: stepwell.ErrInvalid,
			text: "event 1: event name is empty",
		},
		"reserved": {
			request: one(&eventv1.NewEvent{Name: "inngest/x"}), kind: stepwell.ErrInvalid,
			text: "event name is reserved for internal use: inngest/x",
		},
		"data is no object": {
			request: one(&eventv1.NewEvent{Name: "a", Data: []byte(`[]`)}), kind: stepwell.ErrInvalid,
			text: "event data must be a JSON object in UTF-8",
		},
		"data is broken": {
			request: one(&eventv1.NewEvent{Name: "a", Data: []byte(`{"a":`)}), kind: stepwell.ErrInvalid,
			text: "event data must be a JSON object in UTF-8",
		},
		"data is no text": {
			request: one(&eventv1.NewEvent{Name: "a", Data: []byte("{\"a\":\"\xff\"}")}), kind: stepwell.ErrInvalid,
			text: "event data must be a JSON object in UTF-8",
		},
		"user is no object": {
			request: one(&eventv1.NewEvent{Name: "a", User: []byte(`7`)}), kind: stepwell.ErrInvalid,
			text: "event user must be a JSON object in UTF-8",
		},
		"epoch": {
			request: one(&eventv1.NewEvent{Name: "a", Time: &timestamppb.Timestamp{}}), kind: stepwell.ErrInvalid,
			text: `the event "a" has the ts 0: it must be milliseconds between 1980 and 2100`,
		},
		"far future": {
			request: one(&eventv1.NewEvent{Name: "a", Time: &timestamppb.Timestamp{Seconds: 1 << 40}}),
			kind:    stepwell.ErrInvalid, text: "between 1980 and 2100",
		},
		"too large": {
			request: one(&eventv1.NewEvent{Name: "a", Data: make([]byte, stepwell.EventBytesMax+1)}),
			kind:    stepwell.ErrTooLarge, text: `the event "a" has 3145729 bytes, at most 3145728 are allowed`,
		},
		"nobody takes it": {
			request: one(&eventv1.NewEvent{Name: "a"}), fail: fmt.Errorf("user=stepwell: %w", stepwell.ErrUnavailable),
			kind: stepwell.ErrUnavailable, text: "temporarily unavailable, try again",
		},
		"too much waits": {
			request: one(&eventv1.NewEvent{Name: "a"}), fail: stepwell.Fullf("3 items wait"),
			kind: stepwell.ErrFull, text: "3 items wait",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.runner.fail, r.state.fail = test.fail, test.fail
			_, err := r.dial().Publish(t.Context(), test.request)
			require.ErrorIs(t, err, test.kind)
			require.ErrorContains(t, err, test.text)
			require.NotContains(t, err.Error(), "user=stepwell", "publishers need not know how the server is made")
			if test.fail == nil {
				require.Empty(t, r.runner.requests)
			}
		})
	}
}
