// Package storetest is the suite that every store driver must pass. A test is named for the invariant it proves.
//
// It must not know any driver, nor read a clock: instants are given.
package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// Run runs the suite. open returns an empty store that the test owns.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	tests := map[string]func(*testing.T, *fixture){
		"I1_StoredIsRead":                       testStoredIsRead,
		"I1_BytesAreKept":                       testBytesAreKept,
		"I3_SameKeyYieldsFirstRun":              testSameKeyYieldsFirstRun,
		"I3_SameEventStartsNothingNew":          testSameEventStartsNothingNew,
		"I3_KeyIsFreeAfterTheWindow":            testKeyIsFreeAfterTheWindow,
		"I3_IdempotencyKeyStartsOnce":           testIdempotencyKeyStartsOnce,
		"I21_RateHoldsInEveryWindow":            testRateHoldsInEveryWindow,
		"DeadlinesComeInOrder":                  testDeadlinesComeInOrder,
		"DeadlineGoesWithItsRun":                testDeadlineGoesWithItsRun,
		"ClaimStartsTheRun":                     testClaimStartsTheRun,
		"I21_RateHoldsAmongMany":                testRateHoldsAmongMany,
		"I21_RateThatChanges":                   testRateThatChanges,
		"I22_PlaceHasOneHolder":                 testPlaceHasOneHolder,
		"I22_PlaceIsFreeAfterEveryEnd":          testPlaceIsFreeAfterEveryEnd,
		"I22_PlaceIsTaken":                      testPlaceIsTaken,
		"I22_PlaceIsTakenWithinARequest":        testPlaceIsTakenWithinARequest,
		"I22_StaleCancelTakesNothing":           testStaleCancelTakesNothing,
		"I22_CancelTellsWhoListens":             testCancelTellsWhoListens,
		"I22_OneOfManyTakesThePlace":            testOneOfManyTakesThePlace,
		"I22_RateComesBeforePlace":              testRateComesBeforePlace,
		"I14_SkippedSingletonIsRefused":         testSkippedSingletonIsRefused,
		"HoldIsPartOfTheCatalog":                testHoldIsPartOfTheCatalog,
		"RunKnowsItsFunctionsHold":              testRunKnowsItsFunctionsHold,
		"I2_StartThatIsSkippedIsRecorded":       testStartThatIsSkippedIsRecorded,
		"I2_SkippedRunHasEnded":                 testSkippedRunHasEnded,
		"I2_BufferOfAnArchivedFunction":         testBufferOfAnArchivedFunction,
		"I3_SameEventIsBufferedOnce":            testSameEventIsBufferedOnce,
		"I14_DisplacedInvokerGoesOn":            testDisplacedInvokerGoesOn,
		"I19_DebounceKeepsTheLatest":            testDebounceKeepsTheLatest,
		"I19_DebounceWaitsNoLongerThanItMay":    testDebounceWaitsNoLongerThanItMay,
		"I19_BufferThatChangedIsNotFired":       testBufferThatChangedIsNotFired,
		"I22_FiredRunTakesItsPlace":             testFiredRunTakesItsPlace,
		"I19_StaleFireFiresNothing":             testStaleFireFiresNothing,
		"I19_RateComesBeforeTheBuffer":          testRateComesBeforeTheBuffer,
		"I19_BatchTakesEachEventOnce":           testBatchTakesEachEventOnce,
		"I19_BatchIsBounded":                    testBatchIsBounded,
		"I19_BatchIsSmallerNow":                 testBatchIsSmallerNow,
		"I19_BuffersHoldAmongMany":              testBuffersHoldAmongMany,
		"I4_StaleRequestStoresNothing":          testStaleRequestStoresNothing,
		"UnroutedEventIsRoutedOnce":             testUnroutedEventIsRoutedOnce,
		"TraceTravelsWithItsEvent":              testTraceTravelsWithItsEvent,
		"IngestAppliesTransitions":              testIngestAppliesTransitions,
		"EventIsStoredAndRoutedInOneCall":       testEventIsStoredAndRoutedInOneCall,
		"I5_EndWinsOnce":                        testEndWinsOnce,
		"I7_IdleRunIsDiscovered":                testIdleRunIsDiscovered,
		"I10_RecordedStepKeepsFirstResult":      testRecordedStepKeepsFirstResult,
		"CommitTellsWhatWasRecordedBefore":      testCommitTellsWhatWasRecordedBefore,
		"I11_ItemIsSettledOnce":                 testItemIsSettledOnce,
		"I11_OneOfManyCommitsWins":              testOneOfManyCommitsWins,
		"I12_ClaimFencesOlderLeases":            testClaimFencesOlderLeases,
		"I13_ParallelStepsGoOnOnce":             testParallelStepsGoOnOnce,
		"I13_StepEndingDuringDiscoveryIsSeen":   testStepEndingDuringDiscoveryIsSeen,
		"I13_StepDoesNotWaitForARace":           testStepDoesNotWaitForARace,
		"I15_MatchOrTimeoutWins":                testMatchOrTimeoutWins,
		"RecordedStepKeepsWhatItWasOpenedWith":  testRecordedStepKeepsWhatItWasOpenedWith,
		"I16_NothingAfterCancel":                testNothingAfterCancel,
		"I15_EventFindsItsWaits":                testEventFindsItsWaits,
		"I15_AwaitedEventStaysUnrouted":         testAwaitedEventIsUnroutedUntilItsWaitsWereLookedAt,
		"I15_EventEndsOneWaitOfARun":            testEventEndsOneWaitOfARun,
		"I15_WaitEndsWithItsStep":               testWaitEndsWithItsStep,
		"I15_WaitLooksBack":                     testWaitLooksBack,
		"I15_EventAndWaitDoNotMissEachOther":    testEventAndWaitDoNotMissEachOther,
		"I14_EndResumesTheInvoker":              testEndResumesTheInvoker,
		"I14_InvocationIsStoredWithItsStep":     testInvocationIsStoredWithItsStep,
		"I6_WhoListensIsTold":                   testWhoListensIsTold,
		"I6_RunThatWaitsListens":                testRunThatWaitsListens,
		"SignalHasOneWait":                      testSignalHasOneWait,
		"SignalWaitIsReplaced":                  testSignalWaitIsReplaced,
		"I16_RunListensToWhatCancelsIt":         testRunListensToWhatCancelsIt,
		"EndKnowsWhatWasDeferred":               testEndKnowsWhatWasDeferred,
		"DeferringIsBounded":                    testDeferringIsBounded,
		"RetryKeepsTheRunGoing":                 testRetryKeepsTheRunGoing,
		"CheckpointKeepsItemAndForgives":        testCheckpointKeepsItemAndForgives,
		"CheckpointBeyondBoundsIsRefused":       testCheckpointBeyondBoundsIsRefused,
		"KnownStepIsNotOpenedAgain":             testKnownStepIsNotOpenedAgain,
		"BatchedTransitionsAreIndependent":      testBatchedTransitionsAreIndependent,
		"RequestVersionIsKeptOnceKnown":         testRequestVersionIsKeptOnceKnown,
		"HistoryTellsStepsAndAttempts":          testHistoryTellsStepsAndAttempts,
		"SyncVersionsAndArchives":               testSyncVersionsAndArchives,
		"SyncOfTheSameIsNoChange":               testSyncOfTheSameIsNoChange,
		"I21_ThrottleStartsAreKept":             testThrottleStartsAreKept,
		"I21_ThrottleCountsARunOnce":            testThrottleCountsARunOnce,
		"DueItemsArePaged":                      testDueItemsArePaged,
		"I8_ParkedItemsAreFoundUntilUnparked":   testParkedItemsAreFoundUntilUnparked,
		"ManyRunsAreLoadedAtOnce":               testManyRunsAreLoadedAtOnce,
		"RunsArePagedNewestFirst":               testRunsArePagedNewestFirst,
		"EventsArePagedNewestFirst":             testEventsArePagedNewestFirst,
		"I18_SchedulesFollowTheCatalog":         testSchedulesFollowTheCatalog,
		"I18_ScheduleMovesOnOnce":               testScheduleMovesOnOnce,
		"I18_DueSchedulesAreBounded":            testDueSchedulesAreBounded,
		"I24_EnvironmentsSeeNothingOfEachOther": testEnvironmentsSeeNothing,
		"UnknownIsNotFound":                     testUnknownIsNotFound,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newFixture(t, open(t)))
		})
	}
}

// epoch is when every test begins.
func epoch() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// fixture is a store with one app that has one function.
type fixture struct {
	store.Store
	t        *testing.T
	ctx      context.Context //nolint:containedctx // lives as long as the test
	app      stepwell.App
	function stepwell.Function
	events   int
}

func newFixture(t *testing.T, s store.Store) *fixture {
	t.Helper()
	environment := stepwell.DefaultEnvironment()
	app := stepwell.App{
		ID: stepwell.NewAppID(environment, "shop"), Environment: environment, Name: "shop",
		URL: "http://localhost:3000/api/inngest", SDK: "js:v4.24.0", Checksum: "1", SyncedAt: epoch(),
	}
	f := &fixture{Store: s, t: t, ctx: t.Context(), app: app}
	f.function = f.newFunction("charge")
	_, err := s.SyncApp(f.ctx, app, []stepwell.Function{f.function})
	require.NoError(t, err)
	return f
}

func (f *fixture) newFunction(name string) stepwell.Function {
	return stepwell.Function{
		ID: stepwell.NewFunctionID(f.app.ID, "shop-"+name), Environment: f.app.Environment, App: f.app.ID,
		Slug: "shop-" + name, Name: name, URL: f.app.URL, Retries: stepwell.RetriesDefault,
		Triggers: []stepwell.Trigger{{Event: "order/paid"}},
	}
}

// event is the next event, a second after the one before. Every other one belongs to a trace.
func (f *fixture) event(key string) stepwell.Event {
	f.t.Helper()
	f.events++
	at := epoch().Add(time.Duration(f.events) * time.Second)
	id, err := ulid.New(ulid.Timestamp(at), nil)
	require.NoError(f.t, err)
	event := stepwell.Event{
		ID: stepwell.EventID{ULID: id}, Environment: f.app.Environment, Key: key, Name: "order/paid",
		Data: json.RawMessage(`{"n":1}`), User: json.RawMessage(`{}`), Time: at, ReceivedAt: at,
	}
	if f.events%2 == 1 {
		event.Trace = stepwell.Trace{ID: [16]byte{1, 15: byte(f.events)}, Span: [8]byte{7: 2}, Sampled: f.events%4 == 1}
	}
	return event
}

func (f *fixture) start(event stepwell.Event) stepwell.RunStart {
	run := stepwell.Run{
		ID:          stepwell.NewRunID(event.ReceivedAt, f.function.ID, event.ID.String()),
		Environment: event.Environment, Function: f.function.ID, FunctionVersion: 1,
		Events: []stepwell.EventID{event.ID}, EventName: event.Name, CreatedAt: event.ReceivedAt,
		Progress: stepwell.Progress{RequestVersion: stepwell.RequestVersionUnknown, DiscoveryCount: 1},
		Notes:    []string{"key: 1", `"` + event.Name + "\u00e9"},
	}
	run.Progress.Open = []stepwell.Item{stepwell.NewDiscovery(run, 1, event.ReceivedAt)}
	return stepwell.RunStart{Run: run, Key: event.PublicID()}
}

// ingest stores the event and, with starts, what it starts.
func (f *fixture) ingest(event stepwell.Event, starts ...stepwell.RunStart) store.Ingested {
	f.t.Helper()
	return f.ingestAt(event.ReceivedAt, event, starts...)
}

func (f *fixture) ingestAt(now time.Time, event stepwell.Event, starts ...stepwell.RunStart) store.Ingested {
	f.t.Helper()
	results, err := f.Ingest(f.ctx, []store.Ingest{{
		Environment: event.Environment, Revision: 1, Now: now,
		Events: []store.IngestEvent{{Event: event, Starts: starts}},
	}})
	require.NoError(f.t, err)
	require.Len(f.t, results, 1)
	return results[0]
}

// newRun is a run that just started, and its first item.
func (f *fixture) newRun() (stepwell.Run, stepwell.Item) {
	f.t.Helper()
	event := f.event("")
	start := f.start(event)
	result := f.ingest(event, start)
	require.NoError(f.t, result.Err)
	require.Equal(f.t, [][]store.StartedRun{{{ID: start.Run.ID}}}, result.Runs)
	require.Equal(f.t, start.Run.Progress.Open, result.Opened)
	return start.Run, result.Opened[0]
}

// commit commits one transition.
func (f *fixture) commit(t stepwell.Transition) store.Committed {
	f.t.Helper()
	t.At = epoch().Add(time.Hour)
	results, err := f.Commit(f.ctx, []stepwell.Transition{t})
	require.NoError(f.t, err)
	require.Len(f.t, results, 1)
	return results[0]
}

// mustCommit commits one transition and returns what it opened.
func (f *fixture) mustCommit(t stepwell.Transition) []stepwell.Item {
	f.t.Helper()
	result := f.commit(t)
	require.NoError(f.t, result.Err)
	return result.Opened
}

// plan settles the item by opening steps, each with an item.
func (f *fixture) plan(run stepwell.Run, item stepwell.Item, steps ...stepwell.StepID) []stepwell.Item {
	f.t.Helper()
	t := stepwell.Transition{Run: run.ID, Settles: item.ID}
	for _, step := range steps {
		t.Opens = append(t.Opens, opening(run, step))
	}
	return f.mustCommit(t)
}

// race is plan, of steps that take part in a race.
func (f *fixture) race(run stepwell.Run, item stepwell.Item, steps ...stepwell.StepID) []stepwell.Item {
	f.t.Helper()
	t := stepwell.Transition{Run: run.ID, Settles: item.ID}
	for _, step := range steps {
		racing := opening(run, step)
		racing.Item.Race = true
		t.Opens = append(t.Opens, racing)
	}
	return f.mustCommit(t)
}

func opening(run stepwell.Run, step stepwell.StepID) stepwell.Opening {
	return stepwell.Opening{
		Step: stepwell.Step{ID: step, Name: string(step), Kind: stepwell.StepRun, OpenedAt: epoch()},
		Item: stepwell.NewStepItem(run, stepwell.ItemStep, step, epoch()),
	}
}

// recorded is a completed step.
func recorded(step stepwell.StepID, data string) stepwell.Step {
	return stepwell.Step{
		ID: step, Name: string(step), Kind: stepwell.StepRun, Status: stepwell.StepCompleted,
		Result: stepwell.Result{Kind: stepwell.ResultData, JSON: json.RawMessage(data)},
	}
}

// settle is the transition that records the step of the item.
func settle(item stepwell.Item, data string) stepwell.Transition {
	return stepwell.Transition{
		Run: item.Run, Settles: item.ID, Records: []stepwell.Step{recorded(item.Step, data)},
	}
}

// discoveries counts the discovery items.
func discoveries(items []stepwell.Item) int {
	n := 0
	for _, item := range items {
		if item.Kind == stepwell.ItemDiscovery {
			n++
		}
	}
	return n
}

func stepIDs(n int) []stepwell.StepID {
	ids := make([]stepwell.StepID, n)
	for i := range ids {
		ids[i] = stepwell.StepID(fmt.Sprintf("%040x", i))
	}
	return ids
}
