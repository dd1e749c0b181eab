package sdk_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func TestSyncRequest(t *testing.T) {
	t.Parallel()
	request := sdk.SyncRequest{
		URL: "http://localhost:3000/api/inngest?a=1&b=<2>", SyncKind: sdk.SyncInBand, ServerKind: sdk.KindDev,
	}
	require.Equal(t, http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"Stepwell"}, "X-Inngest-Server-Kind": {"dev"},
		"X-Inngest-Sync-Kind": {"in_band"},
	}, request.Header())
	want := `{"url":` + `"http://localhost:3000/api/inngest?a=1&b=<2>"}`
	require.Equal(t, want, string(request.Body()), "SDKs take the url and no other member, in canonical form")
}

func TestAnswersToASync(t *testing.T) {
	t.Parallel()
	const registration = `{"app_id":"shop"}`
	tests := map[string]struct {
		response     sdk.Response
		registration string
		problem      string
	}{
		"in band": {response: response(200, registration, sdk.HeaderSyncKind, sdk.SyncInBand), registration: registration},
		"in band, its SDK header stripped": {
			response: foreign(200, registration, sdk.HeaderSyncKind, sdk.SyncInBand), registration: registration,
		},
		"out of band": {response: response(200, registration, sdk.HeaderSyncKind, sdk.SyncOutOfBand)},
		"old SDK":     {response: response(200, `{"message":"Successfully registered","modified":true}`)},
		"wants a signature": {
			response: response(401, `{"code":"sig_verification_failed"}`),
			problem: "the app answered 401 sig_verification_failed: " +
				"it runs in cloud mode, or with another signing key. With the dev server, set INNGEST_DEV=1",
		},
		"wants one, headers stripped": {response: foreign(401, `nope`), problem: "set INNGEST_DEV=1"},
		"wrong path": {
			response: foreign(404, `not found`),
			problem:  "nothing is served there (404). Is the path right, as in /api/inngest?",
		},
		"no app": {response: foreign(200, `<html>`), problem: "what answers there is not an Inngest SDK (HTTP 200)"},
		"no app, refusal": {
			response: foreign(405, ``), problem: "not an Inngest SDK (HTTP 405). Is this the app's serve endpoint?",
		},
		"no functions": {response: response(400, `{"message":"no functions"}`), problem: "the app answered 400: no functions"},
		"broken app":   {response: response(500, `oops`), problem: "the app answered 500: "},
		"in band, failed": {
			response: response(500, `{"message":"m"}`, sdk.HeaderSyncKind, sdk.SyncInBand), problem: "the app answered 500: m",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := sdk.ParseSync(test.response)
			if test.problem != "" {
				require.ErrorIs(t, err, stepwell.ErrInvalid)
				require.ErrorContains(t, err, test.problem)
				require.Empty(t, got)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.registration, string(got))
		})
	}
}
