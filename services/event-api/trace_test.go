package eventapi_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	eventv1 "github.com/stepwell/stepwell/proto/gen/stepwell/event/v1"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

const (
	kept    = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	dropped = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
)

// TestEventsBelongToThePublishersTrace, over HTTP and gRPC: the span of the request is between.
func TestEventsBelongToThePublishersTrace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	seen := r.observed()
	require.Equal(t, 200, r.do(http.MethodPost, "/e/good%2Fkey", `[{"name":"a"},{"name":"b"}]`, "traceparent", kept).Code)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+goodKey, "traceparent", kept)
	_, err := r.dial().Publish(ctx, one(&eventv1.NewEvent{Name: "a"}))
	require.NoError(t, err)
	spans := seen.Named("event-api.Publish")
	require.Len(t, spans, 2)
	for i, span := range spans {
		require.Equal(t, stepwell.ParseTraceparent(kept).Span, span.Parent.Span)
		for _, event := range r.runner.requests[i] {
			require.Equal(t, span.Trace, event.Trace)
		}
	}
	require.Equal(t, "2", spans[0].Attributes["stepwell.event_count"])

	require.Equal(t, 200, r.do(http.MethodPost, "/e/good%2Fkey", `{"name":"a"}`, "traceparent", dropped).Code)
	require.Equal(t, stepwell.ParseTraceparent(dropped), r.runner.requests[2][0].Trace, "it is passed on as it is")
	require.Len(t, seen.Spans(), 2)
	require.Equal(t, 200, r.do(http.MethodPost, "/e/good%2Fkey", `{"name":"a"}`, "traceparent", "nonsense").Code)
	require.Equal(t, seen.Named("event-api.Publish")[2].Trace, r.runner.requests[3][0].Trace, "a trace of its own begins")
}

// TestWhoHasNoKeyMakesNoSpans, and what a request was refused for is in none (I27).
func TestWhoHasNoKeyMakesNoSpans(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	seen := r.observed()
	require.Equal(t, 401, r.do(http.MethodPost, "/e/other", `{"name":"a"}`, "traceparent", kept).Code)
	_, err := r.dial().Publish(metadata.AppendToOutgoingContext(t.Context(), "traceparent", kept), one(&eventv1.NewEvent{Name: "a"}))
	require.Error(t, err)
	require.Empty(t, seen.Spans())
	require.Equal(t, 400, r.do(http.MethodPost, "/e/good%2Fkey", `{"name":"inngest/private"}`, "traceparent", kept).Code)
	require.Len(t, seen.Spans(), 1)
	require.Equal(t, "the request was refused", seen.Spans()[0].Failure)
}

// TestTraceOfAnEventStoredWithoutARunner is stored with it.
func TestTraceOfAnEventStoredWithoutARunner(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.runner.fail = stepwell.ErrUnavailable
	require.Equal(t, 200, r.do(http.MethodPost, "/e/key", `{"name":"a"}`, "traceparent", kept).Code)
	unrouted, err := r.UnroutedEvents(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, stepwell.ParseTraceparent(kept), unrouted[0].Trace, "also where nobody traces")
}
