package e2e

import (
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

func newOps() []scenario {
	return []scenario{
		{name: "operation of a newer SDK", proves: proves(compatibility.NewOps), play: newOp, raw: true},
	}
}

// newOp: an app asks for what this version of the server does not know. The run fails, and says so; trying again would not
// help.
func newOp(s *scene) {
	const body = `[{"op":"Teleport","id":"0123456789012345678901234567890123456789","name":"beam me up"}]`
	var calls atomic.Int64
	s.serveRaw("raw", "raw/teleport", func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusPartialContent)
		fmt.Fprint(w, body)
	})
	ids, err := s.server.Publish(s.Context(), target.Event{Name: "raw/teleport"})
	require.NoError(s, err)
	failure := s.failure(s.runOf(ids[0]))
	require.Equal(s, "unsupported_operation", failure.Name)
	require.Contains(s, failure.Message, `"beam me up"`)
	require.Contains(s, failure.Message, `"Teleport"`)
	require.EqualValues(s, 1, calls.Load())
}

// serveRaw registers an app that has no SDK. Its one function is called teleport. An event starts it, if there is one.
func (s *scene) serveRaw(app, event string, handler http.HandlerFunc) {
	s.Helper()
	url := serveWeb(s, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Inngest-Sdk", "inngest-js:v99.0.0")
		w.Header().Set("X-Inngest-Req-Version", "2")
		handler(w, r)
	})
	triggers := ""
	if event != "" {
		triggers = fmt.Sprintf(`{"event":%q}`, event)
	}
	require.NoError(s, s.server.Register(s.Context(), fmt.Sprintf(`{
		"url":%[1]q,"deployType":"ping","framework":"none","appName":%[2]q,"sdk":"js:v99.0.0","v":"0.1","functions":[{
			"id":"%[2]s-teleport","name":"teleport","triggers":[%[3]s],
			"steps":{"step":{"id":"step","name":"step","runtime":{
				"type":"http","url":"%[1]s/?fnId=%[2]s-teleport&stepId=step"}}}
		}]}`, url, app, triggers)))
}
