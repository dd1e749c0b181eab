package e2e

import (
	"fmt"
	"net/http"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/target"
)

func invocations() []scenario {
	return []scenario{
		{name: "invoke", proves: proves(compatibility.Invoke), play: invoke},
		{name: "invoke a function with steps", proves: proves(compatibility.Invoke), play: invokeSteps},
		{name: "invoke in parallel", proves: proves(compatibility.InvokeParallel), play: invokeMany},
		{name: "invoke a function of another app", proves: proves(compatibility.InvokeApps), play: invokeAcross, calls: true},
		{name: "invoked function fails", proves: proves(compatibility.InvokeFailure), play: invokeFails},
		{name: "invoked function does not exist", proves: proves(compatibility.InvokeFailure), play: invokeNobody},
		{name: "invoked function takes too long", proves: proves(compatibility.InvokeTimeout), play: invokeTimeout},
		{name: "invoked run is cancelled", proves: proves(compatibility.InvokeCancel), play: invokeCancelled},
	}
}

// startInvoking starts a run of one of the functions that invoke others.
func (s *scene) startInvoking(caller, function string, data map[string]any) string {
	s.Helper()
	return s.start("e2e/"+caller, map[string]any{"app": s.app.ID, "function": function, "data": data})
}

func invoke(s *scene) {
	run := s.startInvoking("invoke", "hello", map[string]any{"name": "Ada"})
	require.JSONEq(s, `{"got":{"greeting":"Hello Ada"}}`, s.output(run))
	require.Equal(s, map[string]int{"after": 1}, s.executions(run).Counts())
}

func invokeSteps(s *scene) {
	run := s.startInvoking("invoke", "sequence", nil)
	require.JSONEq(s, `{"got":{"a":1,"b":2,"c":3}}`, s.output(run))
}

func invokeMany(s *scene) {
	run := s.startInvoking("invoke-many", "hello", nil)
	require.JSONEq(s, `{"own":"own","greetings":["Hello Ada","Hello Grace","Hello Lin"]}`, s.output(run))
	require.Equal(s, map[string]int{"own": 1}, s.executions(run).Counts())
}

// invokeAcross: the function belongs to an app that has no SDK.
func invokeAcross(s *scene) {
	s.serveRaw("neighbour", "", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"sugar":"a cup"}`)
	})
	run := s.start("e2e/invoke", map[string]any{"app": "neighbour", "function": "teleport", "data": map[string]any{}})
	require.JSONEq(s, `{"got":{"sugar":"a cup"}}`, s.output(run))
}

// sorry is what the caller returns that caught the error of an invocation.
func (s *scene) sorry(run string) string {
	s.Helper()
	output := decode[struct{ Sorry string }](s, s.output(run))
	require.Equal(s, map[string]int{"apologise": 1}, s.executions(run).Counts())
	return output.Sorry
}

func invokeFails(s *scene) {
	run := s.startInvoking("invoke-caught", "function-non-retriable", nil)
	require.Contains(s, s.sorry(run), "card stolen")
}

func invokeNobody(s *scene) {
	run := s.startInvoking("invoke-caught", "nobody", nil)
	require.Contains(s, s.sorry(run), "could not find function with ID: "+s.app.ID+"-nobody")
}

func invokeTimeout(s *scene) {
	run := s.start("e2e/invoke-caught", map[string]any{
		"app": s.app.ID, "function": "child", "timeout": "1s", "data": map[string]any{"gate": s.key()},
	})
	require.Contains(s, s.sorry(run), "Timed out waiting for invoked function to complete")
	child := s.childAt(s.key())
	s.open(s.key())
	require.JSONEq(s, `{"done":true}`, s.output(child), "the child goes on without its caller")
}

func invokeCancelled(s *scene) {
	run := s.startInvoking("invoke-caught", "child", map[string]any{"gate": s.key()})
	child := s.childAt(s.key())
	require.NoError(s, s.server.Cancel(s.Context(), child))
	s.await(child, target.Cancelled)
	require.NotEmpty(s, s.sorry(run))
	s.open(s.key())
}

// childAt is the run that waits at the gate.
func (s *scene) childAt(gate string) string {
	s.Helper()
	child := eventually(s, "a child waits at the gate", func() (string, error) {
		executions, err := s.process.Executions(s.Context(), gate)
		if err != nil || len(executions) == 0 {
			return "", check(false, "none does, error %v", err)
		}
		return executions[0].Body, nil
	})
	s.runs = append(s.runs, child)
	return child
}
