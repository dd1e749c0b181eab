package runner_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// TestEventRoutedLateIsOfItsTrace: each of those that are routed together.
func TestEventRoutedLateIsOfItsTrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, on("charge", "a"))
		seen := r.observed()
		first, second, none := event("a"), event("a"), event("a")
		first.Trace = stepwell.Trace{ID: [16]byte{1}, Span: [8]byte{1}, Sampled: true}
		second.Trace = stepwell.Trace{ID: [16]byte{2}, Span: [8]byte{2}, Sampled: true}
		r.unrouted(first, second, none)
		stop := r.run()
		<-time.After(time.Second)
		stop()
		spans := seen.Named("runner.Route")
		require.Len(t, spans, 2)
		require.Equal(t, first.Trace, spans[0].Parent)
		require.Equal(t, second.Trace, spans[1].Parent)
		require.Len(t, seen.Spans(), 2, "looking for work makes no spans")
	})
}
