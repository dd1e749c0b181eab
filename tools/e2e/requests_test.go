package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

func requests() []scenario {
	return []scenario{
		{name: "fetch", proves: proves(compatibility.Fetch), play: fetch, calls: true},
		{name: "fetch fails", proves: proves(compatibility.Fetch), play: fetchFails, calls: true},
		{name: "parallel fetches", proves: proves(compatibility.Fetch), play: fetchMany, calls: true},
		{name: "infer", proves: proves(compatibility.Infer), play: infer, calls: true},
		{name: "wrapped call of a model", proves: proves(compatibility.Wrap), play: wrap, calls: true, needs: sdkapp.Wraps},
	}
}

// serveWeb serves what the server under test is to ask.
func serveWeb(s *scene, handler http.HandlerFunc) string {
	s.Helper()
	web := httptest.NewServer(handler)
	s.Cleanup(web.Close)
	return web.URL
}

// fetch: the server makes the request, once, and the function gets the answer, which is none the worse for its status.
func fetch(s *scene) {
	var asked atomic.Int64
	url := serveWeb(s, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Taste", "salty")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL.Path, r.Header.Get("X-Kitchen"), body)
	})
	run := s.start("e2e/fetch", map[string]any{"url": url})
	require.JSONEq(s, `{"status":418,"taste":"salty","body":"POST /salt sink a pinch"}`, s.output(run))
	require.EqualValues(s, 1, asked.Load())
	history, err := s.server.History(s.Context(), run)
	require.NoError(s, err)
	require.Len(s, history.Steps, 1)
	require.Equal(s, "fetch", history.Steps[0].Kind)
}

// fetchFails: without an answer the request is made again, as often as a step is tried; then the function may catch it.
func fetchFails(s *scene) {
	var asked atomic.Int64
	url := serveWeb(s, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	})
	run := s.start("e2e/fetch-caught", map[string]any{"url": url})
	output := decode[struct{ Sorry string }](s, s.output(run))
	require.Contains(s, output.Sorry, "Error making gateway request: ")
	require.GreaterOrEqual(s, asked.Load(), int64(2))
	require.Equal(s, map[string]int{"apologise": 1}, s.executions(run).Counts())
	history, err := s.server.History(s.Context(), run)
	require.NoError(s, err)
	require.Equal(s, []string{"Retried", "Failed"},
		[]string{history.Attempts[0].Status, history.Attempts[1].Status})
}

// fetchMany: requests beside a step of the app's own.
func fetchMany(s *scene) {
	url := serveWeb(s, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) })
	run := s.start("e2e/fetch-many", map[string]any{"url": url})
	require.JSONEq(s, `{"parts":["/a","/b","own","/c"]}`, s.output(run))
	require.Equal(s, map[string]int{"own": 1}, s.executions(run).Counts())
}

// infer: a provider that is busy at first is asked again when it says. Its key is in no history.
func infer(s *scene) {
	const key = "sk-kitchen-sink"
	var asked atomic.Int64
	url := serveWeb(s, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case asked.Add(1) == 1:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprintf(w, `{"error":"busy, %s"}`, key)
		case r.Header.Get("Authorization") != "Bearer "+key || r.URL.Path != "/v1/chat/completions":
			w.WriteHeader(http.StatusForbidden)
		default:
			fmt.Fprintf(w, `{"choices":[{"message":{"role":"chef","content":%q}}]}`, body)
		}
	})
	run := s.start("e2e/infer", map[string]any{"url": url})
	output := decode[struct{ Said string }](s, s.output(run))
	require.JSONEq(s, `{"model":"chef","messages":[{"role":"user","content":"more salt?"}]}`, output.Said)
	require.EqualValues(s, 2, asked.Load())
	require.Equal(s, target.Completed, s.await(run, target.Completed).Status)
	history, err := s.server.HistoryJSON(s.Context(), run)
	require.NoError(s, err)
	require.Contains(s, history, "the provider answered HTTP 429")
	require.NotContains(s, history, key)
}

// wrap: the app makes the request itself, and the step keeps what it got.
func wrap(s *scene) {
	run := s.start("e2e/wrap", nil)
	require.JSONEq(s, `{"answer":10}`, s.output(run))
	require.Equal(s, map[string]int{"ask": 1, "after": 1}, s.executions(run).Counts())
}
