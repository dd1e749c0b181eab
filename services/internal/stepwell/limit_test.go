package stepwell_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func limited(environment byte, flow stepwell.FlowControl) []stepwell.Limit {
	return stepwell.Function{Environment: stepwell.EnvironmentID{UUID: [16]byte{environment}}, FlowControl: flow}.Limits()
}

func TestLimitsThatTheQueueEnforces(t *testing.T) {
	t.Parallel()
	limits := limited('a', stepwell.FlowControl{
		Concurrency: []stepwell.Concurrency{{Limit: 5}, {Limit: 0, Key: "none"}, {Limit: 3, Runs: true}},
		Throttle:    &stepwell.Throttle{Limit: 2, Burst: 1, Period: time.Minute},
	})
	require.Equal(t, []stepwell.Limit{
		{Most: 5}, {LimitName: stepwell.LimitName{Kind: stepwell.LimitThrottle}, Most: 3, Period: time.Minute},
	}, limits)
}

// TestLimitsAreSharedByTheirExpression: within their scope.
func TestLimitsAreSharedByTheirExpression(t *testing.T) {
	t.Parallel()
	name := func(environment byte, scope stepwell.Scope, key string) stepwell.LimitName {
		concurrency := stepwell.Concurrency{Limit: 1, Key: key, Scope: scope}
		return limited(environment, stepwell.FlowControl{Concurrency: []stepwell.Concurrency{concurrency}})[0].LimitName
	}
	shared := name('a', stepwell.ScopeEnvironment, "x")
	require.Equal(t, shared, name('a', stepwell.ScopeEnvironment, "x"))
	require.NotEqual(t, name('a', stepwell.ScopeEnvironment, "x"), name('a', stepwell.ScopeEnvironment, "y"))
	require.NotEqual(t, name('a', stepwell.ScopeEnvironment, "x"), name('b', stepwell.ScopeEnvironment, "x"))
	require.Equal(t, name('a', stepwell.ScopeAccount, "x"), name('b', stepwell.ScopeAccount, "x"))
	require.NotEqual(t, name('a', stepwell.ScopeAccount, "x"), name('a', stepwell.ScopeEnvironment, "x"))
}

func TestLongValuesOfLimitKeysAreHashed(t *testing.T) {
	t.Parallel()
	value := func(text string) string { return stepwell.NewLimitKey(stepwell.LimitName{}, text).Value }
	require.Equal(t, "eu", value("eu"))
	require.Len(t, value(strings.Repeat("x", 1000)), len("sha256:")+64)
	require.NotEqual(t, value(strings.Repeat("x", 1000)), value(strings.Repeat("x", 1001)))
	require.Equal(t, "a\uFFFD", value("a\xff"))
}

// TestOnlyTheFirstItemOfARunIsThrottled: the others go on.
func TestOnlyTheFirstItemOfARunIsThrottled(t *testing.T) {
	t.Parallel()
	run := newRun(t)
	throttle := stepwell.LimitKey{LimitName: stepwell.LimitName{Kind: stepwell.LimitThrottle}}
	others := run.Limits
	run.Limits = append([]stepwell.LimitKey{throttle}, others...)
	first := stepwell.NewDiscovery(run, 1, instant())
	require.Equal(t, run.Limits, first.Limits)
	require.Equal(t, others, first.Next(instant()).Limits)
	require.Equal(t, others, stepwell.NewDiscovery(run, 2, instant()).Limits)
	require.Equal(t, others, stepwell.NewStepItem(run, stepwell.ItemStep, "s", instant()).Limits)
	require.Len(t, run.Limits, 2)
}
