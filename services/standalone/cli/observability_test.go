package cli_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// metrics is what operators, or others, read of the server's metrics.
func (p *production) metrics(token string) (int, string) {
	p.Helper()
	request, err := http.NewRequestWithContext(p.Context(), http.MethodGet, p.admin+"/metrics", http.NoBody)
	require.NoError(p, err)
	request.Header.Set("Authorization", "Bearer "+token)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(p, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(p, err)
	return response.StatusCode, string(text)
}

// TestStartTellsOfItself: with Postgres and Redis, everything that an event brings about is in the metrics, for whoever
// has the token.
func TestStartTellsOfItself(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	p := startProduction(t, map[string]string{"STEPWELL_APPS_URLS": app.URL + "/api/inngest"})
	p.readiness(http.StatusOK, readyBody)
	p.says("app synced")
	p.runs(p.publishes("shop/order"))
	status, _, body := p.ask(http.MethodGet, "/startupz", "", "")
	require.Equal(t, http.StatusOK, status, body)
	for _, token := range []string{"", "wrong", eventKey, signingKey} {
		status, text := p.metrics(token)
		require.Equal(t, http.StatusUnauthorized, status)
		require.NotContains(t, text, "stepwell_")
	}
	status, text := p.metrics(adminToken)
	require.Equal(t, http.StatusOK, status)
	for _, line := range []string{
		`stepwell_events_acked_total{transport="http"} 1`, `inngest_function_run_scheduled_total{fn="order"} 1`,
		`inngest_function_run_started_total{fn="order"} 1`,
		`inngest_function_run_ended_total{fn="order",status="Completed"} 1`,
		`inngest_sdk_req_ended_total{fn="order",status="Completed"} 1`, `inngest_queue_depth 0`,
		`stepwell_transitions_total{result="committed"} 1`, `stepwell_db_connections{pool="write",state="max"} 8`,
		`stepwell_workers 100`, `stepwell_oldest_due_seconds{shard="3"} 0`,
	} {
		require.True(t, strings.Contains(text, "\n"+line+"\n"), line) //nolint:testifylint // the text is long
	}
	for _, series := range []string{
		`stepwell_db_group_commit_batch_size_count{kind="commit"}`, `stepwell_db_pool_wait_seconds_count{pool="write"}`,
		`stepwell_redis_command_seconds_count{command="put",result="answered"}`, `stepwell_sdk_request_seconds_count{phase="connect"}`,
		`rpc_server_call_duration_seconds_count{rpc_method="stepwell.state.v1.StateService/Commit",rpc_response_status_code="OK"}`,
		`stepwell_event_to_run_start_seconds_count{fn="order"}`, `target_info{`, "go_goroutines", "process_resident_memory_bytes",
	} {
		require.True(t, strings.Contains(text, "\n"+series), series) //nolint:testifylint // as above
	}
	require.NotContains(t, text, eventKey)
	require.NotContains(t, p.log.String(), adminToken)
	require.NotContains(t, strings.ToLower(p.log.String()), "duplicate")
}
