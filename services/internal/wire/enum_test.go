package wire_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

	runv1 "github.com/stepwell/stepwell/proto/gen/stepwell/run/v1"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/wire"
)

// TestEnumsMeanTheSameOnBothSides: they are converted by counting, so both sides must count the same things.
func TestEnumsMeanTheSameOnBothSides(t *testing.T) {
	t.Parallel()
	counts(t, "RUN_STATUS", []string{"RUNNING", "COMPLETED", "FAILED", "CANCELLED", "SKIPPED"}, wire.RunStatus)
	counts(t, "ITEM_KIND", []string{"DISCOVERY", "STEP", "SLEEP", "TIMEOUT", "INVOKE"},
		func(k stepwell.ItemKind) protoreflect.Enum { return wire.Item(stepwell.Item{Kind: k}).GetKind() })
	counts(t, "LIMIT_KIND", []string{"CONCURRENCY", "THROTTLE"}, func(k stepwell.LimitKind) protoreflect.Enum {
		return wire.Item(stepwell.Item{Limits: []stepwell.LimitKey{{LimitName: stepwell.LimitName{Kind: k}}}}).GetLimits()[0].GetKind()
	})
	counts(t, "WAITING_REASON", []string{"TURN", "LIMIT", "PAUSED", "UNKNOWN"}, func(w stepwell.Why) protoreflect.Enum {
		return wire.Waiting(map[stepwell.ItemID]stepwell.Waiting{"": {Why: w}})[0].GetReason()
	})
	counts(t, "STEP_KIND",
		[]string{"RUN", "SLEEP", "WAIT_FOR_EVENT", "WAIT_FOR_SIGNAL", "INVOKE", "FETCH", "INFER", "DEFER", "DEFER_ABORT"},
		func(k stepwell.StepKind) protoreflect.Enum { return wire.Step(stepwell.Step{Kind: k}).GetKind() })
	counts(t, "STEP_STATUS", []string{"OPEN", "COMPLETED", "FAILED"},
		func(s stepwell.StepStatus) protoreflect.Enum { return wire.Step(stepwell.Step{Status: s}).GetStatus() })
	counts(t, "RESULT_KIND", []string{"DATA", "ERROR", "BARE"}, func(k stepwell.ResultKind) protoreflect.Enum {
		step := stepwell.Step{Status: stepwell.StepCompleted, Result: stepwell.Result{Kind: k}}
		return wire.Step(step).GetResult().GetKind()
	})
	counts(t, "ATTEMPT_STATUS", []string{"COMPLETED", "RETRIED", "FAILED"},
		func(s stepwell.AttemptStatus) protoreflect.Enum {
			return wire.Attempt(stepwell.Attempt{Status: s}).GetStatus()
		})
	counts(t, "WAIT_KIND", []string{"EVENT", "SIGNAL", "CANCEL"}, func(k stepwell.WaitKind) protoreflect.Enum {
		opens := []stepwell.Opening{{Wait: &stepwell.Wait{Kind: k}}}
		return wire.Transition(stepwell.Transition{Opens: opens}).GetOpens()[0].GetWait().GetKind()
	})
	counts(t, "SCOPE", []string{"FUNCTION", "ENVIRONMENT", "ACCOUNT"}, func(s stepwell.Scope) protoreflect.Enum {
		flow := stepwell.FlowControl{Concurrency: []stepwell.Concurrency{{Scope: s}}}
		return wire.Function(stepwell.Function{FlowControl: flow}).GetFlowControl().GetConcurrency()[0].GetScope()
	})
	counts(t, "SINGLETON_MODE", []string{"SKIP", "CANCEL"}, func(m stepwell.SingletonMode) protoreflect.Enum {
		flow := stepwell.FlowControl{Singleton: &stepwell.Singleton{Mode: m}}
		return wire.Function(stepwell.Function{FlowControl: flow}).GetFlowControl().GetSingleton().GetMode()
	})
}

// counts checks that our values 0, 1, … are the proto values of these names, and that there are no others.
func counts[Ours ~int, Proto protoreflect.Enum](t *testing.T, prefix string, names []string, to func(Ours) Proto) {
	t.Helper()
	require.Equal(t, len(names)-1, last()[reflect.TypeFor[Ours]()], "values of %T", Ours(0))
	values := to(0).Descriptor().Values()
	require.Equal(t, len(names)+1, values.Len(), "values of %s, with the unspecified one", prefix)
	for i, name := range names {
		value := values.ByNumber(to(Ours(i)).Number())
		require.Equal(t, name, strings.TrimPrefix(string(value.Name()), prefix+"_"))
	}
}

// TestUnspecifiedEnumsAreTheirFirstValue: a message of an older sender lacks what came later.
func TestUnspecifiedEnumsAreTheirFirstValue(t *testing.T) {
	t.Parallel()
	require.Equal(t, stepwell.RunRunning, wire.FromRunStatus(runv1.RunStatus_RUN_STATUS_UNSPECIFIED))
	require.Equal(t, stepwell.RunRunning, wire.FromRunStatus(-7))
	require.Equal(t, stepwell.ItemDiscovery, wire.FromItem(&runv1.Item{}).Kind)
	require.Equal(t, stepwell.StepOpen, wire.FromStep(nil).Status)
}
