package expr_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/expr"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// TestCacheCompilesOnceForEachKindOfRules: the same text means something else to a wait that cancels.
func TestCacheCompilesOnceForEachKindOfRules(t *testing.T) {
	t.Parallel()
	var cache expr.Cache
	wait := stepwell.Wait{Expression: "event.data.id == async.data.id"}
	cancel := wait
	cancel.Kind = stepwell.WaitCancel
	of := func(w stepwell.Wait) *expr.Program {
		program, err := cache.OfWait(w)
		require.NoError(t, err)
		return program
	}
	first, second := of(wait), of(cancel)
	require.Same(t, first, of(wait))
	require.Same(t, second, of(cancel))
	require.NotSame(t, first, second)
	missing := expr.Vars{Event: map[string]any{"data": map[string]any{}}, Async: map[string]any{"data": map[string]any{}}}
	for w, want := range map[*stepwell.Wait]bool{&wait: false, &cancel: true} {
		matched, err := of(*w).Match(missing)
		require.NoError(t, err)
		require.Equal(t, want, matched)
	}
	_, err := cache.OfWait(stepwell.Wait{Expression: "event.("})
	require.Error(t, err)
}

func TestCacheIndexesAWait(t *testing.T) {
	t.Parallel()
	var cache expr.Cache
	trigger := func() map[string]any { return map[string]any{"data": map[string]any{"id": "a"}} }
	wait := stepwell.Wait{Expression: "event.data.id == async.data.id"}
	require.NoError(t, cache.Index(&wait, trigger))
	shape, hash := stepwell.NewShape([]stepwell.Equality{{Path: []string{"data", "id"}, Value: "a"}})
	require.Equal(t, shape, wait.Shape)
	require.Equal(t, hash, wait.KeyHash)
	var each stepwell.Wait
	require.NoError(t, cache.Index(&each, nil))
	require.Empty(t, each.Shape)
	require.Error(t, cache.Index(&stepwell.Wait{Expression: "event.("}, trigger))
}
