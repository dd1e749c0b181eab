package e2e

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
	"github.com/stepwell/stepwell/tools/e2e/sdkapp"
)

func errorScenarios() []scenario {
	return []scenario{
		{name: "step error caught", proves: proves(compatibility.StepErrors), play: caught},
		{name: "step error uncaught", proves: proves(compatibility.StepErrors), play: uncaught},
		{name: "step error keeps its name", proves: proves(compatibility.ErrorNames), play: errorName, needs: sdkapp.ErrorNames},
		{name: "step recovers", proves: proves(compatibility.StepErrors), play: recovering},
		{name: "attempts begin anew with each step", proves: proves(compatibility.OwnAttempts), play: attemptsAnew, needs: sdkapp.OwnAttempts},
		{name: "function fails after retries", proves: proves(compatibility.FunctionErrors), play: throwing},
		{name: "function recovers", proves: proves(compatibility.FunctionErrors), play: throwingOnce},
		{name: "step retries after", proves: proves(compatibility.RetryAfter), play: stepRetryAfter},
		{name: "function retries after", proves: proves(compatibility.RetryAfter), play: functionRetryAfter},
		{name: "step non-retriable", proves: proves(compatibility.NonRetriable), play: stepNonRetriable},
		{name: "function non-retriable", proves: proves(compatibility.NonRetriable), play: functionNonRetriable},
	}
}

func caught(s *scene) {
	run := s.start("e2e/caught", nil)
	require.JSONEq(s, `{"answer":"sorry: card declined"}`, s.output(run))
	require.Equal(s, map[string]int{"charge": 2, "apologise": 1}, s.executions(run).Counts(),
		"a step with one retry is executed twice before its error reaches the function")
}

func uncaught(s *scene) {
	run := s.start("e2e/uncaught", nil)
	require.Contains(s, s.failure(run).Message, "card declined")
	require.Equal(s, map[string]int{"charge": 1}, s.executions(run).Counts())
}

func errorName(s *scene) {
	run := s.start("e2e/uncaught", nil)
	failure := s.failure(run)
	require.Equal(s, "Error", failure.Name)
	require.Equal(s, "card declined", failure.Message)
	require.Contains(s, failure.Stack, "functions.mjs", "the stack shows the user's file")
}

func recovering(s *scene) {
	run := s.start("e2e/recovering", nil)
	require.JSONEq(s, `{"after":3}`, s.output(run))
	executions := s.executions(run)
	require.Equal(s, map[string]int{"before": 1, "flaky": 3, "after": 1}, executions.Counts())
	require.Equal(s, []int{0, 1, 2}, executions.Of("flaky").Attempts())
}

func attemptsAnew(s *scene) {
	run := s.start("e2e/recovering", nil)
	s.output(run)
	require.Equal(s, []int{0}, s.executions(run).Of("after").Attempts())
}

func throwing(s *scene) {
	run := s.start("e2e/throwing", nil)
	require.Contains(s, s.failure(run).Message, "out of luck")
	executions := s.executions(run)
	require.Equal(s, map[string]int{"before": 1, "throw": 3}, executions.Counts())
	require.Equal(s, []int{0, 1, 2}, executions.Of("throw").Attempts())
}

func throwingOnce(s *scene) {
	run := s.start("e2e/throwing-once", nil)
	require.JSONEq(s, `{"after":2}`, s.output(run))
	executions := s.executions(run)
	require.Equal(s, map[string]int{"before": 1, "after": 1}, map[string]int{
		"before": len(executions.Of("before")), "after": len(executions.Of("after")),
	})
	require.Equal(s, []int{0, 1}, executions.Of("rest").Attempts()[:2])
}

const (
	// retryAfter is what the app asks for. It is longer than the usual second between attempts.
	retryAfter = 3 * time.Second
	// retryAfterMin is what of it is sure to be kept: the Go SDK sends the time without its fraction of a second.
	retryAfterMin = retryAfter - time.Second
)

func stepRetryAfter(s *scene) { requireRetryAfter(s, "e2e/step-retry-after", "busy") }

func functionRetryAfter(s *scene) {
	requireRetryAfter(s, "e2e/function-retry-after", "function")
}

// requireRetryAfter plays a function whose body fails once and says when to come again.
func requireRetryAfter(s *scene, event, body string) {
	s.Helper()
	run := s.start(event, map[string]any{"milliseconds": retryAfter.Milliseconds()})
	require.JSONEq(s, `{"answer":"served"}`, s.output(run))
	executions := s.executions(run).Of(body)
	require.Equal(s, []int{0, 1}, executions.Attempts())
	require.GreaterOrEqual(s, executions[1].Began().Sub(executions[0].Began()), retryAfterMin)
}

func stepNonRetriable(s *scene) {
	run := s.start("e2e/step-non-retriable", nil)
	require.Contains(s, s.failure(run).Message, "card stolen")
	require.Equal(s, map[string]int{"charge": 1}, s.executions(run).Counts())
}

func functionNonRetriable(s *scene) {
	run := s.start("e2e/function-non-retriable", nil)
	require.Contains(s, s.failure(run).Message, "card stolen")
	require.Len(s, s.executions(run).Of("function"), 1)
}
