package cli_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSend(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string][]string{
		"POST /api/v1/events":    {fine + `{"ids":["E1"],"status":200}`},
		"GET /v1/events/E1/runs": {fine + `{"data":[{"run_id":"R2","function_id":"f","status":"Running"},{"run_id":"R1"}]}`},
	})
	require.Equal(t, `event E1
run   R2   see it with: stepwell runs show R2 --watch
run   R1   see it with: stepwell runs show R1 --watch
`, prints(t, s, "send", "shop/order", "--data", `{"n": 12345678901234567890.10}`, "--id", "o-1"))
	require.Equal(t, []string{"POST /api/v1/events", "GET /v1/events/E1/runs"}, s.requests)
	require.JSONEq(t, `{"name":"shop/order","data":{"n":12345678901234567890.10},"id":"o-1"}`, s.bodies[0])
	require.Contains(t, s.bodies[0], `12345678901234567890.10`, "numbers are sent as they were given")
	require.JSONEq(t, `{"event_id":"E1","run_ids":["R2","R1"]}`, prints(t, s, "send", "a", "--json"))
	require.JSONEq(t, `{"name":"a","data":{}}`, s.bodies[2], "an id that is not given is not sent")
}

func TestSendThatStartsNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string][]string{
		"POST /api/v1/events": {fine + `{"ids":["E1"],"status":200}`}, "GET /v1/events/E1/runs": {fine + `{"data":[]}`},
	})
	require.Equal(t, "event E1\nIt started nothing: no function has a trigger that matches. "+
		"`stepwell functions` lists them.\n", prints(t, s, "send", "a"))
	require.JSONEq(t, `{"event_id":"E1","run_ids":[]}`, prints(t, s, "send", "a", "--json"))
}

func TestSendThatFails(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string][]string{
		"POST /api/v1/events": {
			`400 {"ids":[],"status":400,"error":"event name is reserved for internal use: inngest/x"}`, fine + `{"ids":[]}`,
			fine + `{"ids":["E1"]}`,
		},
		"GET /v1/events/E1/runs": {`503 {"error":"temporarily unavailable, try again"}`},
	})
	for _, problem := range []string{
		"event name is reserved for internal use: inngest/x", "the server answered with 0 event ids for one event",
		"temporarily unavailable, try again",
	} {
		out, err := stepwell(t, "send", "inngest/x", "--server", s.URL)
		require.EqualError(t, err, problem)
		require.Empty(t, out)
	}
	before := len(s.requests)
	for _, data := range []string{"{n:1}", "", "{"} {
		_, err := stepwell(t, "send", "a", "--data", data, "--server", s.URL)
		require.EqualError(t, err, `--data is not valid JSON: `+data+`. Quote it for the shell: --data '{"order":"o-1"}'`)
	}
	require.Len(t, s.requests, before, "nothing was sent")
}

const functionList = `[{"id":"shop-charge","name":"Charge","app":"shop","sdk":"js:v4.24.0","url":"http://app/",
	"version":2,"retries":4,"triggers":[{"event":"order/paid","expression":"event.data.total > 1"},{"event":"order/*"},
	{"cron":"0 9 * * *"}]},
	{"id":"f","name":"F","app":"a","sdk":"","url":"","version":1,"retries":0,"triggers":[],"hold":"queue"}]`

func TestFunctions(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string][]string{"GET /api/v1/functions": {
		fine + `{"data":` + functionList + `}`,
	}})
	require.Equal(t, []string{
		"FUNCTION     APP   SDK         RETRIES  STATE              TRIGGERS",
		"shop-charge  shop  js:v4.24.0  4        active             order/paid if event.data.total > 1, order/*, cron 0 9 * * *",
		"f            a                 0        paused, runs wait",
	}, trimmed(prints(t, s, "functions")))
	require.JSONEq(t, functionList, prints(t, s, "functions", "--json"))

	none := newServer(t, map[string][]string{"GET /api/v1/functions": {fine + `{"data":[]}`}})
	require.Equal(t, "No functions yet. Start your app with INNGEST_DEV=1, "+
		"and the server with --urls of its serve endpoint.\n", prints(t, none, "functions"))
	require.JSONEq(t, `[]`, prints(t, none, "functions", "--json"))
}

func TestFunctionsAreHeld(t *testing.T) {
	t.Parallel()
	held := func(hold string) []string { return []string{fine + `{"data":{"id":"shop-a b","hold":"` + hold + `"}}`} }
	s := newServer(t, map[string][]string{
		"POST /api/v1/functions/shop-a b/pause": held("skip"), "POST /api/v1/functions/shop-a b/drain": held("drain"),
		"POST /api/v1/functions/shop-a b/resume": held(""),
		"POST /api/v1/functions/gone/resume":     {`404 {"error":"function \"gone\": not found"}`},
	})
	require.Equal(t, "shop-a b is paused, starts are skipped\n", prints(t, s, "functions", "pause", "shop-a b", "--mode", "skip"))
	require.Equal(t, "shop-a b is drained, starts are skipped\n", prints(t, s, "functions", "drain", "shop-a b"))
	require.Equal(t, "shop-a b is active\n", prints(t, s, "functions", "resume", "shop-a b"))
	require.Contains(t, prints(t, s, "functions", "pause", "shop-a b", "--json"), `"hold": "skip"`)
	_, err := stepwell(t, "functions", "resume", "gone", "--server", s.URL)
	require.EqualError(t, err, `function "gone": not found`)
}

// trimmed are the lines of a table, without the spaces at their ends.
func trimmed(table string) []string {
	lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}

const finishedRun = `{"id":"R1","status":"Completed","function":"shop-charge","event_name":"order/paid","event_ids":["E1"],
	"created_at":"2026-01-02T10:00:00Z","started_at":"2026-01-02T10:00:00Z","ended_at":"2026-01-02T10:00:01Z",
	"output":{"ok":true}}`

func TestRuns(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string][]string{"GET /api/v1/runs": {fine + `{"data":[` + finishedRun + `]}`}})
	lines := trimmed(prints(t, s, "runs"))
	require.Len(t, lines, 2)
	require.Equal(t, []string{"RUN", "FUNCTION", "STATUS", "STARTED", "TOOK", "EVENT"}, strings.Fields(lines[0]))
	require.Regexp(t, `^R1 +shop-charge +Completed +\d+h\d+m0s ago +1s +order/paid$`, lines[1])
	require.JSONEq(t, `[`+finishedRun+`]`, prints(t, s, "runs", "--json"))
	prints(t, s, "runs", "--status", "Failed", "--function", "shop-charge", "--limit", "50")
	require.Equal(t, []string{
		"GET /api/v1/runs?limit=20", "GET /api/v1/runs?limit=20",
		"GET /api/v1/runs?function=shop-charge&limit=50&status=Failed",
	}, s.requests)
}

func TestShow(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string][]string{
		"GET /api/v1/runs":    {fine + `{"data":[` + finishedRun + `]}`},
		"GET /api/v1/runs/R1": {fine + `{"data":` + finishedRun + `}`},
	})
	const drawn = `run R1  shop-charge  Completed in 1s
event order/paid  E1


output  {"ok":true}
`
	require.Equal(t, drawn, prints(t, s, "runs", "show", "R1"))
	require.Equal(t, drawn, prints(t, s, "runs", "show"), "the newest if none is named")
	require.Equal(t, drawn, prints(t, s, "runs", "show", "R1", "--watch"))
	require.JSONEq(t, finishedRun, prints(t, s, "runs", "show", "R1", "--json"))
	require.Equal(t, []string{
		"GET /api/v1/runs/R1", "GET /api/v1/runs?limit=1", "GET /api/v1/runs/R1", "GET /api/v1/runs/R1", "GET /api/v1/runs/R1",
	}, s.requests)
}

// TestShowWatches: until the run has ended; what is no terminal gets the end only.
func TestShowWatches(t *testing.T) {
	t.Parallel()
	running := strings.Replace(finishedRun, "Completed", "Running", 1)
	s := newServer(t, map[string][]string{
		"GET /api/v1/runs/R1": {
			fine + `{"data":` + running + `}`, fine + `{"data":` + running + `}`, fine + `{"data":` + finishedRun + `}`,
		},
	})
	out := prints(t, s, "runs", "show", "R1", "--watch")
	require.Equal(t, 1, strings.Count(out, "run R1"))
	require.Contains(t, out, "Completed in 1s")
	require.Len(t, s.requests, 3)

	still := newServer(t, map[string][]string{"GET /api/v1/runs/R1": {fine + `{"data":` + running + `}`}})
	require.Contains(t, prints(t, still, "runs", "show", "R1"), "Running for")
	require.Len(t, still.requests, 1, "it does not wait unless it was asked to")
}

func TestShowWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string][]string{
		"GET /api/v1/runs": {fine + `{"data":[]}`}, "GET /api/v1/runs/R1": {`404 {"error":"run R1: not found"}`},
	})
	_, err := stepwell(t, "runs", "show", "--server", s.URL)
	require.EqualError(t, err, "there are no runs. Publish an event: stepwell send NAME --data '{}'")
	for _, args := range [][]string{
		{"runs", "show", "R1"}, {"runs", "show", "R1", "--json"}, {"runs", "show", "R1", "--watch"},
	} {
		_, err = stepwell(t, append(args, "--server", s.URL)...)
		require.EqualError(t, err, "run R1: not found")
	}
	_, err = stepwell(t, "runs", "show", "a/b?", "--server", s.URL)
	require.ErrorContains(t, err, "there is nothing at GET")
	require.Equal(t, "GET /api/v1/runs/a%2Fb%3F", s.requests[len(s.requests)-1])
}
