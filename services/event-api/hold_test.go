package eventapi_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// TestFunctionsAreHeld: the answer says how the function is then, and so does the list.
func TestFunctionsAreHeld(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.register(registrationOf(``))
	hold := func() any {
		function, ok := r.data("/api/v1/functions").([]any)[0].(map[string]any)
		require.True(t, ok)
		return function["hold"]
	}
	require.Nil(t, hold())
	for _, step := range []struct{ verb, body, hold string }{
		{"pause", ``, "queue"},
		{"pause", ` {"mode":"skip"}`, "skip"},
		{"drain", ``, "drain"},
		{"pause", `{"mode":"queue"}`, "queue"},
		{"pause", `{}`, "queue"},
	} {
		answer := r.do(http.MethodPost, "/api/v1/functions/shop-0/"+step.verb, step.body)
		require.Equal(t, http.StatusOK, answer.Code)
		require.Contains(t, answer.Body.String(), `"hold":"`+step.hold+`"`)
		require.Contains(t, answer.Body.String(), `"app":"shop"`)
		require.Equal(t, step.hold, hold())
	}
	require.Equal(t, http.StatusOK, r.do(http.MethodPost, "/api/v1/functions/shop-0/resume", ``).Code)
	require.Nil(t, hold())
}

func TestHoldsThatAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.register(registrationOf(``))
	const path = "/api/v1/functions/shop-0/pause"
	requireFailure(t, r.do(http.MethodPost, path, `{"mode":"drain"}`), 400, `mode is "drain": use queue`)
	requireFailure(t, r.do(http.MethodPost, path, `skip`), 400, "the body cannot be read")
	requireFailure(t, r.do(http.MethodPost, "/api/v1/functions/shop-7/drain", ``), 404, `function "shop-7": not found`)
	endpoint := stepwell.Function{
		ID: stepwell.NewFunctionID(stepwell.AppID{}, "shop-page"), Environment: stepwell.DefaultEnvironment(), Slug: "shop-page",
		Triggers: []stepwell.Trigger{{Endpoint: true}},
	}
	_, err := r.state.SyncApp(t.Context(), stepwell.App{Environment: stepwell.DefaultEnvironment(), Checksum: "1"}, []stepwell.Function{endpoint})
	require.NoError(t, err)
	requireFailure(t, r.do(http.MethodPost, "/api/v1/functions/shop-page/drain", ``), 400, "endpoint of its app")
}
