package e2e

import (
	"crypto/rand"
	"io"
	"net/http"
	"net/url"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

// Steps in the handlers of HTTP requests to the app.
func endpoints() []scenario {
	return []scenario{
		{name: "endpoint with steps", proves: proves(compatibility.Endpoints), play: endpointSteps, calls: true, needs: sdkapp.Endpoints},
		{name: "endpoint with a sleep", proves: proves(compatibility.Endpoints), play: endpointSleep, calls: true, needs: sdkapp.Endpoints},
		{
			name: "endpoint with parallel steps", proves: proves(compatibility.EndpointRetries), play: endpointParallel, calls: true,
			needs: sdkapp.ParallelEndpoints,
		},
		{
			name: "endpoint with a step that is retried", proves: proves(compatibility.EndpointRetries), play: endpointFlaky, calls: true,
			needs: sdkapp.EndpointRetries,
		},
	}
}

// endpointSteps: the app answers by itself, and tells of the run.
func endpointSteps(s *scene) {
	key := rand.Text()
	status, _, body := s.request(http.MethodGet, "/endpoint/steps?key="+key, "")
	require.Equal(s, http.StatusOK, status)
	require.JSONEq(s, `{"a":1,"b":2}`, body)
	function := s.process.URL("") + "-GET /endpoint/steps"
	run := eventually(s, "the server knows of the run", func() (string, error) {
		runs, err := s.server.FunctionRuns(s.Context(), function)
		if err != nil || len(runs) == 0 {
			return "", check(false, "%d runs, error %v", len(runs), err)
		}
		return runs[0], nil
	})
	s.runs = append(s.runs, run)
	s.await(run, target.Completed)
	require.Equal(s, map[string]int{"a": 1, "b": 1}, s.executions(key).Counts())
	history, err := s.server.History(s.Context(), run)
	require.NoError(s, err)
	require.Len(s, history.Steps, 2)
}

// endpointSleep: the server goes on with the run, and answers the client when it ends.
func endpointSleep(s *scene) {
	key := rand.Text()
	body := s.redirected(http.MethodPost, "/endpoint/sleep?milliseconds=1000&key="+key, `{"n":1.0}`)
	require.JSONEq(s, `{"a":1,"b":2}`, body)
	require.Equal(s, map[string]int{"a": 1, "b": 1}, s.executions(key).Counts())
}

func endpointParallel(s *scene) {
	key := rand.Text()
	require.JSONEq(s, `{"a":1,"b":2}`, s.redirected(http.MethodGet, "/endpoint/parallel?key="+key, ""))
	require.Equal(s, map[string]int{"a": 1, "b": 1}, s.executions(key).Counts())
}

func endpointFlaky(s *scene) {
	key := rand.Text()
	require.JSONEq(s, `{"a":1}`, s.redirected(http.MethodGet, "/endpoint/flaky?key="+key, ""))
	require.Equal(s, map[string]int{"a": 2}, s.executions(key).Counts())
}

// request makes a request to the app.
func (s *scene) request(method, path, body string) (status int, location, answer string) {
	s.Helper()
	response, err := s.process.Request(s.Context(), method, path, []byte(body))
	require.NoError(s, err)
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	require.NoError(s, err)
	return response.StatusCode, response.Header.Get("Location"), string(read)
}

// redirected makes a request to the app, which sends the client to the server, and returns what that answers.
func (s *scene) redirected(method, path, body string) string {
	s.Helper()
	status, location, answer := s.request(method, path, body)
	require.Contains(s, []int{http.StatusFound, http.StatusSeeOther}, status, answer)
	to, err := url.Parse(location)
	require.NoError(s, err)
	require.Contains(s, s.server.URLs, to.Scheme+"://"+to.Host)
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, location, nil)
	require.NoError(s, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(s, err)
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	require.NoError(s, err)
	require.Equal(s, http.StatusOK, response.StatusCode, "%s", read)
	return string(read)
}
