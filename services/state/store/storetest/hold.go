package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// hold holds the function of the fixture, and returns the catalog's revision.
func (f *fixture) hold(hold stepwell.Hold) int64 {
	f.t.Helper()
	require.NoError(f.t, f.HoldFunction(f.ctx, f.app.Environment, f.function.ID, hold))
	return f.catalog().Revision
}

func (f *fixture) catalog() store.Functions {
	f.t.Helper()
	catalog, err := f.Functions(f.ctx, f.app.Environment, -1)
	require.NoError(f.t, err)
	return catalog
}

// testHoldIsPartOfTheCatalog: whoever decides by an older one is told, and syncs leave it as it is.
func testHoldIsPartOfTheCatalog(t *testing.T, f *fixture) {
	require.Equal(t, stepwell.HoldNone, f.catalog().Functions[0].Hold)
	before := f.catalog().Revision
	paused := f.hold(stepwell.HoldSkip)
	require.Greater(t, paused, before)
	require.Equal(t, paused, f.hold(stepwell.HoldSkip), "nothing changed")
	require.Equal(t, stepwell.HoldSkip, f.catalog().Functions[0].Hold)
	require.Equal(t, 1, f.catalog().Functions[0].Version)
	event := f.event("")
	require.ErrorIs(t, f.ingest(event, f.start(event)).Err, stepwell.ErrStale)

	f.app.Checksum = "2"
	_, err := f.SyncApp(f.ctx, f.app, []stepwell.Function{f.function})
	require.NoError(t, err)
	require.Equal(t, 1, f.catalog().Functions[0].Version, "it is the same function")
	f.app.Checksum, f.function.Retries = "3", 7
	_, err = f.SyncApp(f.ctx, f.app, []stepwell.Function{f.function})
	require.NoError(t, err)
	require.Equal(t, 2, f.catalog().Functions[0].Version)
	require.Equal(t, stepwell.HoldSkip, f.catalog().Functions[0].Hold)
	f.app.Checksum = "4"
	_, err = f.SyncApp(f.ctx, f.app, nil)
	require.NoError(t, err)
	f.hold(stepwell.HoldQueue)
	require.Equal(t, stepwell.HoldQueue, f.catalog().Functions[0].Hold, "also of one that is archived")
	require.NotZero(t, f.catalog().Functions[0].ArchivedAt)

	revision := f.hold(stepwell.HoldNone)
	require.Equal(t, stepwell.HoldNone, f.catalog().Functions[0].Hold)
	unknown := f.newFunction("unknown").ID
	require.ErrorIs(t, f.HoldFunction(f.ctx, f.app.Environment, unknown, stepwell.HoldDrain), stepwell.ErrNotFound)
	elsewhere := stepwell.EnvironmentID{UUID: f.function.ID.UUID}
	require.ErrorIs(t, f.HoldFunction(f.ctx, elsewhere, f.function.ID, stepwell.HoldDrain), stepwell.ErrNotFound)
	require.Equal(t, revision, f.catalog().Revision)
}

// testRunKnowsItsFunctionsHold as it is now.
func testRunKnowsItsFunctionsHold(t *testing.T, f *fixture) {
	run, _ := f.newRun()
	f.hold(stepwell.HoldDrain)
	state, err := store.LoadRun(f.ctx, f, run.ID)
	require.NoError(t, err)
	require.Equal(t, stepwell.HoldDrain, state.Function.Hold)
}

// testStartThatIsSkippedIsRecorded: it has ended, takes neither its rate nor its place, and who invoked it goes on.
func testStartThatIsSkippedIsRecorded(t *testing.T, f *fixture) {
	parent, item := f.newRun()
	child, _ := f.invoke(parent, item, f.named("unrelated", 1))
	event := f.event("")
	start := f.start(event)
	start.Run = start.Run.Skipped(stepwell.SkipPaused)
	start.Rate, start.Place = &stepwell.Rate{Limit: 1, Period: time.Hour}, &stepwell.Place{}
	start.Refused = &stepwell.Resume{Item: child.ID, Step: recorded("call", `"refused"`)}
	result := f.ingest(event, start)
	require.Equal(t, [][]store.StartedRun{{{ID: start.Run.ID, Skip: stepwell.SkipPaused}}}, result.Runs)
	require.Len(t, result.Opened, 1)
	require.Equal(t, parent.ID, result.Opened[0].Run)
	require.Equal(t, start.Run, f.run(start.Run.ID))
	require.Equal(t, [][]store.StartedRun{{{ID: start.Run.ID, Existed: true}}}, f.ingest(event, start).Runs, "again")
	require.Equal(t, start.Run, f.run(start.Run.ID))

	other, next := f.placed("")
	next.Rate = start.Rate
	require.Len(t, f.ingest(other, next).Opened, 1)
}
