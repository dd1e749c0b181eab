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
	url := serveWeb(s, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.Header().Set("X-Inngest-Sdk", "inngest-js:v99.0.0")
		w.Header().Set("X-Inngest-Req-Version", "2")
		w.WriteHeader(http.StatusPartialContent)
		fmt.Fprint(w, body)
	})
	require.NoError(s, s.server.Register(s.Context(), fmt.Sprintf(`{
		"url":%[1]q,"deployType":"ping","framework":"none","appName":"raw","sdk":"js:v99.0.0","v":"0.1","functions":[{
			"id":"raw-teleport","name":"teleport","triggers":[{"event":"raw/teleport"}],
			"steps":{"step":{"id":"step","name":"step","runtime":{"type":"http","url":"%[1]s/?fnId=raw-teleport&stepId=step"}}}
		}]}`, url)))
	ids, err := s.server.Publish(s.Context(), target.Event{Name: "raw/teleport"})
	require.NoError(s, err)
	failure := s.failure(s.runOf(ids[0]))
	require.Equal(s, "unsupported_operation", failure.Name)
	require.Contains(s, failure.Message, `"beam me up"`)
	require.Contains(s, failure.Message, `"Teleport"`)
	require.EqualValues(s, 1, calls.Load())
}
