package pgstore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// TestI32_PlaceOfARunThatAnOlderReleaseEndedIsFree: that release leaves the row of the place.
func TestI32_PlaceOfARunThatAnOlderReleaseEndedIsFree(t *testing.T) {
	t.Parallel()
	s, url := fresh(t)
	function := stepwell.Function{Environment: stepwell.DefaultEnvironment(), Version: 1}
	start := func(second int) store.StartedRun {
		event := eventAt(t, at().Add(time.Duration(second)*time.Second), "")
		run := engine.Start(function, event, at())
		run.Place = &stepwell.Place{}
		results, err := s.Ingest(t.Context(), []store.Ingest{{
			Environment: function.Environment, Now: at(),
			Events: []store.IngestEvent{{Event: event, Starts: []stepwell.RunStart{run}}},
		}})
		require.NoError(t, err)
		require.NoError(t, results[0].Err)
		return results[0].Runs[0][0]
	}
	first := start(0)
	require.True(t, first.Started())
	require.False(t, start(1).Started())
	exec(t, url, "UPDATE runs SET status = 1, ended_at = now() WHERE status = 0")
	exec(t, url, "DELETE FROM heads")
	place := stepwell.PlaceKey{Function: function.ID}
	holders, err := s.Holders(t.Context(), []stepwell.PlaceKey{place})
	require.NoError(t, err)
	require.Zero(t, holders[0])
	next := start(2)
	require.True(t, next.Started())
	holders, err = s.Holders(t.Context(), []stepwell.PlaceKey{place})
	require.NoError(t, err)
	require.Equal(t, next.ID, holders[0])
}
