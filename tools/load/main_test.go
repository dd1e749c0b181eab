package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/load/meter"
	"github.com/stepwell/stepwell/tools/load/scenario"
)

// tiny are sizes at which all scenarios take a few seconds together.
func tiny() []string {
	return []string{
		"--ingest-events", "40", "--ingest-batches", "1,20", "--flood-runs", "20", "--flood-steps", "0,1,5",
		"--steady-for", "200ms", "--idle-runs", "3", "--watch", "100ms", "--sleeps-count", "20", "--sleeps-runs", "3",
		"--limits-runs", "20", "--limits-keys", "5", "--limits-waiting", "1,20", "--sleeps-for", "100ms", "--waiting-runs", "20", "--waits-runs", "20,30", "--waits-events", "10", "--timeout", "20s",
	}
}

func measured(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(t.Context(), append(tiny(), args...), &out, &logWriter{t: t})
	return out.String(), err
}

func TestEveryScenarioMeasuresTheDevServer(t *testing.T) {
	t.Parallel()
	url, pid := devServer(t)
	text, err := measured(t, "--url", url, "--pid", "stepwell="+strconv.Itoa(pid), "--json")
	require.NoError(t, err)
	var d document
	require.NoError(t, json.Unmarshal([]byte(text), &d))

	var cases []string
	for _, result := range d.Medians {
		cases = append(cases, result.Case)
		numbers := map[string]float64{}
		for _, number := range result.Numbers {
			numbers[number.Name] = number.Value
		}
		require.Contains(t, numbers, "memory MiB of stepwell", result.Case)
		require.Zero(t, numbers["calls that were not needed"], result.Case)
		for _, latency := range result.Latencies {
			require.Positive(t, latency.Count, "%s: %s", result.Case, latency.Name)
			require.LessOrEqual(t, latency.P50, latency.Max, "%s: %s", result.Case, latency.Name)
		}
	}
	require.Equal(t, []string{
		"ingest, 1 event a request", "ingest, 20 events a request",
		"flood, 0 steps, checkpoint", "flood, 0 steps, plain", "flood, 1 step, checkpoint", "flood, 1 step, plain",
		"flood, 5 steps, checkpoint", "flood, 5 steps, plain",
		"steady, 20 runs/s, 1 step, checkpoint", "steady, 20 runs/s, 1 step, plain",
		"idle, one run at a time, 5 steps, checkpoint", "idle, one run at a time, 5 steps, plain", "idle, nothing at all",
		"sleeps, 1 run of 20 parallel sleeps", "sleeps, 3 runs of 20 parallel sleeps", "waiting, 20 sleeping runs",
		"limits, flood, no limit", "limits, flood, 1 at a time of each of 5 keys",
		"limits, beside 1 waiting run", "limits, beside 20 waiting runs",
		"waits, 20 waiting runs", "waits, 30 waiting runs",
	}, cases)
}

func TestGapsAreCounted(t *testing.T) {
	t.Parallel()
	url, _ := devServer(t)
	text, err := measured(t, "--url", url, "--scenario", "idle", "--json")
	require.NoError(t, err)
	var d document
	require.NoError(t, json.Unmarshal([]byte(text), &d))
	for _, result := range d.Results[:2] {
		gaps := map[string]int{}
		for _, latency := range result.Latencies {
			gaps[latency.Name] = latency.Count
		}
		require.Equal(t, 3*5, gaps["gap between steps"], result.Case)
	}
}

func TestTwoServersAreMeasuredInTurn(t *testing.T) {
	t.Parallel()
	// The same server twice is how one sees what a difference is worth.
	first, _ := devServer(t)
	second := strings.Replace(first, "127.0.0.1", "localhost", 1)
	text, err := measured(t, "--scenario", "flood", "--flood-steps", "1", "--mode", "plain", "--rounds", "2",
		"--url", first, "--url", second)
	require.NoError(t, err)
	require.Contains(t, text, "first: "+first+", second: "+second)
	require.Contains(t, text, "flood, 1 step, plain")
	require.Regexp(t, `runs per second +\d+(\.\d+)? +\d+(\.\d+)? +\d+\.\d\d\n`, text)
}

// A server that takes everything and does nothing.
func TestWhatIsMissingIsSaid(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"ok":true,"ids":[],"status":200}`))
	}))
	t.Cleanup(server.Close)
	_, err := measured(t, "--url", server.URL, "--timeout", "50ms")
	require.ErrorContains(t, err, "200 of 200 runs did not end within 50ms: 200 were never called")
}

func TestFlagsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"--rounds is 0":                   {"--rounds", "0"},
		"--mode is \"fast\"":              {"--mode", "fast"},
		"scenario \"storm\" is unknown":   {"--scenario", "flood,storm"},
		"--flood-runs is 0":               {"--flood-runs", "0"},
		"--flood-steps has 1001":          {"--flood-steps", "1,1001"},
		"is not NAME=PID":                 {"--pid", "4711"},
		"as many as can be compared":      {"--url", "http://a", "--url", "http://b", "--url", "http://c"},
		"\"idle\" is not a flag":          {"idle"},
		"--steady-for is 0s":              {"--steady-for", "0s"},
		"signatures cannot be checked":    {"--verify"},
		"is not hexadecimal after its pr": {"--signing-key", "signkey-test-xyz"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := measured(t, args...)
			require.ErrorContains(t, err, name)
		})
	}
}

func TestFlagsBelongToTheServerBeforeThem(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{
		"--url", "http://a/", "--event-key", "1", "--pid", "x=1", "--url", "http://b", "--event-key", "2", "--pid", "y=2",
	}, &logWriter{t: t})
	require.NoError(t, err)
	require.Equal(t, "http://a", o.servers[0].app.Server)
	require.Equal(t, "1", o.servers[0].app.EventKey)
	require.Equal(t, []meter.Process{{Name: "x", PID: 1}}, o.servers[0].meter.Processes)
	require.Equal(t, "http://b", o.servers[1].app.Server)
	require.Equal(t, "2", o.servers[1].app.EventKey)
	require.Equal(t, []meter.Process{{Name: "y", PID: 2}}, o.servers[1].meter.Processes)
}

func TestMedians(t *testing.T) {
	t.Parallel()
	var rounds []scenario.Result
	for _, value := range []float64{9, 1, 2, 4} {
		rounds = append(rounds, scenario.Result{
			Case: "c", Numbers: []meter.Number{{Name: "n", Value: value}},
			Latencies: []scenario.Latency{{Name: "l", P50: value, P95: 2 * value, P99: 3 * value}},
		})
	}
	m := medians(rounds)
	require.Len(t, m, 1)
	require.InDelta(t, 3, m[0].Numbers[0].Value, 0)
	require.InDelta(t, 9, rounds[0].Numbers[0].Value, 0, "the rounds are left alone")

	twice := scenario.Result{Case: "c", Numbers: []meter.Number{{Name: "n", Value: 6}, {Name: "other"}}}
	compared := compare(m, []scenario.Result{twice})
	require.Len(t, compared, 1)
	require.Len(t, compared[0].Rows, 1)
	require.InDelta(t, 2, *compared[0].Rows[0].Ratio, 0)
}

func TestResultsOfATableAreItsColumns(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	printAll(&out, []scenario.Result{
		{Case: "alone", Unit: "runs"},
		{Case: "a", Table: "T", Column: "1 run", Numbers: []meter.Number{{Name: "n", Value: 6}}},
		{Case: "b", Table: "T", Column: "2 runs", Numbers: []meter.Number{{Name: "n", Value: 7}, {Name: "m", Value: 0.5}}},
	})
	require.Contains(t, out.String(), "alone: 0 runs")
	require.Equal(t, 1, strings.Count(out.String(), "| | 1 run | 2 runs |\n|---|---:|---:|\n| n | 6 | 7 |\n"))
	require.Contains(t, out.String(), "| m | – | 0.500 |\n")
}
