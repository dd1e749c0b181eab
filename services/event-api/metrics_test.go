package eventapi_test

import (
	"errors"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	eventv1 "github.com/stepwell/stepwell/proto/gen/stepwell/event/v1"
	eventapi "github.com/stepwell/stepwell/services/event-api"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry/telemetrytest"
)

// observed replaces the rig's service by one whose metrics and spans are kept.
func (r *rig) observed() *telemetrytest.Seen {
	r.t.Helper()
	telemeter, seen := telemetrytest.New(r.t)
	var err error
	r.service, err = eventapi.New(eventapi.Deps{
		State: r.state, Runner: r.runner, Executor: r.exec, Keys: keys{}, ServerKind: sdk.KindDev,
		Log: slog.New(slog.NewTextHandler(r.log, nil)), Telemetry: telemeter,
	})
	require.NoError(r.t, err)
	return seen
}

func TestMetricsOfEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	seen := r.observed()
	require.Equal(t, 200, r.do(http.MethodPost, "/e/good%2Fkey", `[{"name":"a"},{"name":"b"}]`).Code)
	require.Equal(t, 200, r.do(http.MethodPost, "/api/v1/events", `{"name":"a"}`, "Authorization", "Bearer "+goodKey).Code)
	require.Equal(t, 400, r.do(http.MethodPost, "/e/good%2Fkey", `{"name":""}`).Code)
	require.Equal(t, 401, r.do(http.MethodPost, "/e/other", `{"name":"a"}`).Code)
	require.Equal(t, 401, r.do(http.MethodGet, "/no/such/path", "").Code)
	r.runner.fail = stepwell.ErrUnavailable
	require.Equal(t, 200, r.do(http.MethodPost, "/e/good%2Fkey", `{"name":"a"}`).Code)
	r.state.fail = errors.New("broken")
	require.Equal(t, 503, r.do(http.MethodPost, "/e/good%2Fkey", `{"name":"a"}`).Code)
	for series, want := range map[string]float64{
		`stepwell_events_acked_total{transport="http"}`: 4, "stepwell_events_commit_seconds_count": 3,
		"stepwell_events_unrouted_total":                                          1,
		`stepwell_http_request_seconds_count{route="POST /e/{key}",status="2xx"}`: 2,
		`stepwell_http_request_seconds_count{route="POST /e/{key}",status="4xx"}`: 2,
		`stepwell_http_request_seconds_count{route="POST /e/{key}",status="5xx"}`: 1,
		`stepwell_http_request_seconds_count{route="/",status="4xx"}`:             1,
	} {
		require.InDelta(t, want, seen.Value(t, series), 0, series)
	}
	require.NotContains(t, seen.Metrics(t), "good", "a key is no attribute (I27)")
}

func TestMetricsOfEventsOverGRPC(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	seen := r.observed()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+goodKey)
	_, err := r.dial().Publish(ctx, one(&eventv1.NewEvent{Name: "a"}))
	require.NoError(t, err)
	require.InDelta(t, 1, seen.Value(t, `stepwell_events_acked_total{transport="grpc"}`), 0)
}
