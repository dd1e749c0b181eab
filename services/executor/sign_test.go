package executor

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	executorv1 "github.com/stepwell/stepwell/proto/gen/stepwell/executor/v1"
	"github.com/stepwell/stepwell/services/internal/queue/memqueue"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store/memstore"
)

const signingKey = "signkey-prod-0123456789abcdef0123456789abcdef"

// isSigned tells whether a request has a signature of now over its body, as an SDK checks it.
func isSigned(r *http.Request) bool {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return false
	}
	signature := r.Header.Get(sdk.HeaderSignature)
	seconds, _, _ := strings.Cut(strings.TrimPrefix(signature, "t="), "&s=")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || time.Since(time.Unix(unix, 0)).Abs() > time.Minute {
		return false
	}
	signed, err := sdk.NewSigner(signingKey).Sign(body, time.Unix(unix, 0))
	return err == nil && signed.Signature == signature && string(signed.Body) == string(body)
}

// signingService is an executor that calls apps over real connections.
func signingService(t *testing.T, signer sdk.Signer) *Service {
	t.Helper()
	transport := NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	service, err := New(DefaultConfig(), Deps{
		State: memstore.New(memstore.DefaultConfig()), Queue: memqueue.New(), Runner: nobody{}, Transport: transport, Gateway: transport,
		Signer: signer, Random: func() float64 { return 0 }, ServerKind: sdk.KindCloud, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	return service
}

// nobody is no runner.
type nobody struct{}

func (nobody) Nudge(context.Context) error { return nil }

// testCall makes one call to the app at a URL, of an event with this data.
func (s *Service) testCall(ctx context.Context, url, data string) stepwell.Outcome {
	run := stepwell.Run{ID: stepwell.NewRunID(time.Now(), stepwell.FunctionID{}, "test")}
	state := stepwell.RunState{
		Run: run, Function: stepwell.Function{URL: url, Slug: "shop-charge"},
		Events: []stepwell.Event{{Name: "a", Data: []byte(data), User: []byte(`{}`)}},
	}
	return s.apps.call(ctx, state, stepwell.NewStepItem(run, stepwell.ItemStep, "abc", time.Now()), 1)
}

// TestCallsAndSyncsAreSigned: also where they are redirected to, and whatever is in them.
func TestCallsAndSyncsAreSigned(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(sdk.HeaderSDK, "test:v1")
		switch {
		case r.URL.Path == "/api/inngest":
			http.Redirect(w, r, "/moved", http.StatusTemporaryRedirect)
		case !isSigned(r):
			w.WriteHeader(http.StatusUnauthorized)
		default:
			_, _ = io.WriteString(w, `"signed"`)
		}
	}))
	t.Cleanup(app.Close)
	service := signingService(t, sdk.NewSigner(signingKey))
	for _, data := range []string{
		`{}`, `{"n":12345678901234567890,"b":1.0,"a":"\u00e9"}`, `{"a":1,"a":2}`, `{"s":"\ud800","n":1e400}`,
	} {
		outcome := service.testCall(t.Context(), app.URL+"/api/inngest", data)
		require.Equal(t, `"signed"`, string(outcome.Output), "%s: %s", data, outcome.Failure)
	}
	_, err := service.RequestSync(t.Context(), &executorv1.RequestSyncRequest{Url: app.URL + "/api/inngest"})
	require.NoError(t, err)

	// Without a key there is no such header.
	unsigned := signingService(t, sdk.Signer{})
	require.Equal(t, http.StatusUnauthorized, unsigned.testCall(t.Context(), app.URL+"/api/inngest", `{}`).HTTPStatus)
	_, err = unsigned.RequestSync(t.Context(), &executorv1.RequestSyncRequest{Url: app.URL + "/api/inngest"})
	require.ErrorContains(t, err, "the app answered 401")
}

// TestCallOfARunThatCannotBeSigned says where its data is wrong, and nothing of the data.
func TestCallOfARunThatCannotBeSigned(t *testing.T) {
	t.Parallel()
	outcome := signingService(t, sdk.NewSigner(signingKey)).testCall(t.Context(), "http://127.0.0.1:1/", `{"secret":`)
	require.Contains(t, string(outcome.Failure), "sign body: the JSON has an unexpected byte at")
	require.NotContains(t, string(outcome.Failure), "secret")
}
