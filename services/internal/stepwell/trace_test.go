package stepwell_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestTraceparent(t *testing.T) {
	t.Parallel()
	trace := stepwell.ParseTraceparent(traceparent)
	require.False(t, trace.IsZero())
	require.True(t, trace.Sampled)
	require.Equal(t, traceparent, trace.Traceparent())
	require.Equal(t, trace, stepwell.TraceOf(trace.Bytes()))
	require.Len(t, trace.Bytes(), 25)

	unsampled := stepwell.ParseTraceparent(traceparent[:53] + "00")
	require.False(t, unsampled.Sampled)
	require.Equal(t, unsampled, stepwell.TraceOf(unsampled.Bytes()))

	later := stepwell.ParseTraceparent("cc" + traceparent[2:] + "-what-comes-later")
	require.Equal(t, trace, later, "a later version begins like this one")
	require.Equal(t, trace, stepwell.ParseTraceparent(traceparent[:53]+"ff"), "flags that are not known are passed over")
}

func TestWhatIsNoTraceparentIsNoTrace(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "x", traceparent[:54], traceparent + "-more", traceparent + "0", "ff" + traceparent[2:], "cc" + traceparent[2:] + "x",
		"00-" + strings.Repeat("0", 32) + traceparent[35:], traceparent[:36] + strings.Repeat("0", 16) + "-01",
		strings.ToUpper(traceparent), strings.Replace(traceparent, "b", "g", 1), strings.ReplaceAll(traceparent, "-", "_"),
		"zz" + traceparent[2:], traceparent[:53] + "0z",
	} {
		require.Zero(t, stepwell.ParseTraceparent(text), text)
	}
	require.Empty(t, stepwell.Trace{}.Traceparent())
	require.Nil(t, stepwell.Trace{}.Bytes())
	require.Zero(t, stepwell.TraceOf([]byte("short")))
	require.Zero(t, stepwell.Trace{}.Run(stepwell.RunID{}))
	require.Zero(t, stepwell.Trace{}.Step(stepwell.RunID{}, "a"))
}

// TestSpansOfRunsAndStepsFollowFromTheirIDs: whoever asks gets the same one, and another for each run and step.
func TestSpansOfRunsAndStepsFollowFromTheirIDs(t *testing.T) {
	t.Parallel()
	trace := stepwell.ParseTraceparent(traceparent)
	first, err := stepwell.ParseRunID("01ARZ3NDEKTSV4RRFFQ69G5FAV")
	require.NoError(t, err)
	second, err := stepwell.ParseRunID("01ARZ3NDEKTSV4RRFFQ69G5FAW")
	require.NoError(t, err)
	spans := map[[8]byte]bool{trace.Span: true}
	for _, below := range []stepwell.Trace{
		trace.Run(first), trace.Run(second), trace.Step(first, "a"), trace.Step(first, "b"), trace.Step(second, "a"),
	} {
		require.Equal(t, trace.ID, below.ID)
		require.True(t, below.Sampled)
		require.False(t, spans[below.Span])
		spans[below.Span] = true
	}
	other := trace.Step(first, "b")
	require.Equal(t, trace.Run(first), other.Run(first), "whatever span it is asked of")
}

func TestAnyTextIsATraceparentOrNone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}`)).Draw(t, "text")
		trace := stepwell.ParseTraceparent(text)
		require.Equal(t, trace, stepwell.ParseTraceparent(trace.Traceparent()))
		require.Equal(t, trace, stepwell.TraceOf(trace.Bytes()))
	})
}
