package e2e

import (
	"net/http"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

func keyScenarios() []scenario {
	return []scenario{
		{name: "requests with other keys", proves: proves(compatibility.Keys), play: otherKeys, keys: true},
		{name: "app with another signing key", proves: proves(compatibility.Keys), play: otherSigningKey, keys: true, alone: true},
	}
}

// otherKey is a key as good as those of the server, which is none of them.
var otherKey = strings.Repeat("0123456789abcdef", 4)

// otherKeys: no door lets anybody in without the key that it asks for, nor with the key of another door.
func otherKeys(s *scene) {
	run := s.start("e2e/hello", nil)
	s.output(run)
	for _, url := range s.server.URLs {
		for _, key := range []string{otherKey, s.server.EventKey} {
			intruder := target.Server{URLs: []string{url}, EventKey: otherKey, SigningKey: key}
			_, err := intruder.Run(s.Context(), run)
			require.ErrorContains(s, err, "401 Unauthorized")
			_, err = intruder.Functions(s.Context())
			require.ErrorContains(s, err, "401 Unauthorized")
		}
		for _, key := range []string{otherKey, strings.TrimPrefix(s.server.SigningKey, "signkey-prod-")} {
			intruder := target.Server{URLs: []string{url}, EventKey: key}
			_, err := intruder.Publish(s.Context(), target.Event{Name: "e2e/hello"})
			require.ErrorContains(s, err, "401 Unauthorized")
		}
	}
}

// otherSigningKey: an app whose signing key is not the server's cannot register, and does not believe the server's calls.
func otherSigningKey(s *scene) {
	stranger := sdkapp.Settings{Port: s.port, Env: []string{"INNGEST_SIGNING_KEY=signkey-prod-" + otherKey}}
	s.process = s.startAppWith(stranger)
	require.Error(s, s.process.Sync(s.Context()), "it cannot register")
	functions, err := s.server.Functions(s.Context())
	require.NoError(s, err)
	require.Empty(s, functions)

	s.process.Kill()
	s.startApp("")
	require.NoError(s, s.process.Sync(s.Context()))
	s.awaitFunction("hello")
	s.process.Kill()
	s.process = s.startAppWith(stranger)
	ids, err := s.server.Publish(s.Context(), target.Event{Name: "e2e/hello", Data: map[string]any{"name": "Ada"}})
	require.NoError(s, err)
	run := s.runOf(ids[0])
	eventually(s, "the app refuses a call", func() (bool, error) {
		history, err := s.server.History(s.Context(), run)
		if err != nil {
			return false, err
		}
		refused := slices.ContainsFunc(history.Attempts, func(a target.Attempt) bool {
			return a.HTTPStatus == http.StatusUnauthorized
		})
		return true, check(refused, "the attempts are %v", history.Attempts)
	})
	require.Empty(s, s.executions(run))

	s.process.Kill()
	s.startApp("")
	require.JSONEq(s, `{"greeting":"Hello Ada"}`, s.output(run))
}
