package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

// TestTimeline draws what the API says of runs, one story a file:
//
//	timeline [after=duration] [width=columns]   draws the run below, so long after it was created
func TestTimeline(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/timeline", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			require.Equal(t, "timeline", d.Cmd)
			var r run
			require.NoError(t, json.Unmarshal([]byte(d.Input), &r))
			after, width := "1h", widthDefault
			d.MaybeScanArgs(t, "after", &after)
			d.MaybeScanArgs(t, "width", &width)
			since, err := time.ParseDuration(after)
			require.NoError(t, err)
			return strings.Join(timeline(r, r.CreatedAt.Add(since), width), "\n") + "\n"
		})
	})
}
