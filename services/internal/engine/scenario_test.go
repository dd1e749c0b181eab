package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/engine"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
	"github.com/stepwell/stepwell/services/state/store/memstore"
)

// TestScenarios tells one story a file: what the app answers, and what the run waits for then. Items are named without
// their run, as in d1.0: the first discovery's first attempt. Verbs:
//
//	start [retries=n] [ts=duration]     an event starts the run
//	call item [status=n] [header=value] the app answers the item's call with the body below; unreached calls do not
//	  [system=duration]                 count for a time
//	answer step [status=n] [header=value] what requests of the step are answered with; none has no answer
//	body item                           what a call of the item sends
//	claim item generation=n             a later lease takes the item over
//	checkpoint item [generation=n]      the app reports the steps below while its call goes on
//	wake item                           the item of a sleep is due
//	signal item                         the signal that the item waits for comes, with the data below
//	cancel                              the run is cancelled from outside
//	late item                           the run is cancelled by who does not know of the report below, which came meanwhile
//	listen [deferred]                   a function is synced that listens to ends of runs, or is deferred
//	emitted                             the events that the run emitted and nobody has routed
//	child [status=n] [header=value]     the function that the run invoked starts, and is answered with the body below
//	pass duration                       time goes by
//	history                             the run's steps and attempts
func TestScenarios(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &scenario{now: epoch()}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			verbs := map[string]func(*testing.T, *datadriven.TestData) string{
				"answer": s.answer, "start": s.start, "call": s.call, "body": s.body, "claim": s.claim, "checkpoint": s.checkpoint,
				"wake": s.wake, "resume": s.resume, "signal": s.signal, "cancel": s.cancel, "pass": s.pass, "history": s.history,
				"listen": s.listen, "late": s.late, "emitted": s.emitted, "child": s.child,
			}
			verb, known := verbs[d.Cmd]
			require.True(t, known, "%s: unknown verb %q", d.Pos, d.Cmd)
			return verb(t, d)
		})
	})
}

func epoch() time.Time { return time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC) }

// scenario is one run in a store, without queue or network.
type scenario struct {
	store *memstore.Store
	id    stepwell.RunID
	now   time.Time
	// answers are to the requests that steps ask for.
	answers map[stepwell.StepID]sdk.Response
}

func (s *scenario) start(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	s.store, s.now = memstore.New(memstore.DefaultConfig()), epoch()
	s.answers = map[stepwell.StepID]sdk.Response{}
	environment := stepwell.DefaultEnvironment()
	app := stepwell.App{ID: stepwell.NewAppID(environment, "shop"), Environment: environment, Name: "shop"}
	function := stepwell.Function{
		ID: stepwell.NewFunctionID(app.ID, "shop-charge"), Slug: "shop-charge", App: app.ID, Environment: environment,
		URL: "http://app/api/inngest?fnId=shop-charge&stepId=step", Version: 1, Retries: 4,
	}
	var delay time.Duration
	if d.HasArg("ts") {
		delay = argument(t, d, "ts", time.ParseDuration)
	}
	if d.HasArg("retries") {
		function.Retries = argument(t, d, "retries", strconv.Atoi)
	}
	_, err := s.store.SyncApp(t.Context(), app, []stepwell.Function{function})
	require.NoError(t, err)
	id, err := ulid.New(ulid.Timestamp(s.now), nil)
	require.NoError(t, err)
	event := stepwell.Event{
		ID: stepwell.EventID{ULID: id}, Environment: environment, Name: "order/paid", ReceivedAt: s.now,
		Time: s.now.Add(delay), Data: json.RawMessage(`{"n":1}`), User: json.RawMessage(`{}`),
	}
	start := engine.Start(function, event, s.now)
	s.id = start.Run.ID
	results, err := s.store.Ingest(t.Context(), []store.Ingest{{
		Environment: environment, Revision: 1, Now: s.now,
		Events: []store.IngestEvent{{Event: event, Starts: []stepwell.RunStart{start}}},
	}})
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
	return s.describe(t)
}

func (s *scenario) call(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	item := s.item(t, d)
	response := sdk.Response{Status: http.StatusPartialContent, Header: http.Header{}, Body: []byte(d.Input)}
	response.Header.Set(sdk.HeaderSDK, "js:v4.24.0")
	response.Header.Set(sdk.HeaderRequestVersion, "2")
	respond(t, d, &response)
	state := s.load(t)
	generation := 1
	if d.HasArg("generation") {
		generation = argument(t, d, "generation", strconv.Atoi)
	}
	var system time.Duration
	if d.HasArg("system") {
		system = argument(t, d, "system", time.ParseDuration)
	}
	started := s.now
	s.now = s.now.Add(time.Second)
	outcome := sdk.Parse(response, s.now)
	for i, op := range outcome.Ops {
		if op.Code == stepwell.OpFetch {
			outcome.Ops[i] = s.fetch(op)
		}
	}
	var settled stepwell.Transition
	told := s.decide(t, func(heard engine.Heard) stepwell.Transition {
		settled = engine.Settle(engine.Call{
			State: state, Item: item, Generation: generation, Outcome: outcome,
			StartedAt: started, EndedAt: s.now, SystemRetryFor: system, Heard: heard,
		})
		return settled
	})
	return told + s.lookBacks(settled)
}

// lookBacks tells since when events end the waits that the transition opens.
func (s *scenario) lookBacks(transition stepwell.Transition) string {
	var b strings.Builder
	for _, opening := range transition.Opens {
		if opening.Wait != nil && opening.Wait.Kind == stepwell.WaitEvent {
			fmt.Fprintf(&b, "wait %s looks back to %s\n", s.short(string(opening.Item.ID)), s.since(opening.Wait.Since))
		}
	}
	return b.String()
}

// respond fills in a response as the directive's arguments say.
func respond(t *testing.T, d *datadriven.TestData, response *sdk.Response) {
	t.Helper()
	for _, arg := range d.CmdArgs[1:] {
		switch arg.Key {
		case "status":
			response.Status = argument(t, d, "status", strconv.Atoi)
		case "generation", "system":
		default:
			response.Header.Set(arg.Key, arg.Vals[0])
		}
	}
}

func (s *scenario) answer(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	response := sdk.Response{Status: http.StatusOK, Header: http.Header{}, Body: []byte(d.Input)}
	respond(t, d, &response)
	s.answers[stepwell.StepID(d.CmdArgs[0].Key)] = response
	return "ok\n"
}

// fetch does what the shell does with a step's request.
func (s *scenario) fetch(op stepwell.Op) stepwell.Op {
	if response, answered := s.answers[op.Step]; answered {
		return sdk.Fetched(op, response, op.Request.URL, s.now)
	}
	return sdk.FetchFailed(op, errors.New("connection refused"), false)
}

func (s *scenario) body(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	call := sdk.Call{State: s.load(t), Item: s.item(t, d), Generation: 1}
	body, err := call.Body()
	require.NoError(t, err)
	var sent struct {
		Ctx struct {
			Attempt     int  `json:"attempt"`
			AttemptsMax int  `json:"max_attempts"`
			PlanOnly    bool `json:"disable_immediate_execution"`
			Stack       struct {
				Stack []string `json:"stack"`
			} `json:"stack"`
		} `json:"ctx"`
		Defers  json.RawMessage `json:"defers"`
		Steps   json.RawMessage `json:"steps"`
		Version int             `json:"version"`
	}
	require.NoError(t, json.Unmarshal(body, &sent))
	url, err := call.URL()
	require.NoError(t, err)
	target := url[strings.LastIndex(url, "=")+1:]
	told := fmt.Sprintf("target %s, attempt %d of %d, plan only %t, version %d\nstack %v\nsteps %s\n", target,
		sent.Ctx.Attempt, sent.Ctx.AttemptsMax, sent.Ctx.PlanOnly, sent.Version, sent.Ctx.Stack.Stack, sent.Steps)
	if string(sent.Defers) != "{}" {
		told += fmt.Sprintf("defers %s\n", sent.Defers)
	}
	return told
}

func (s *scenario) claim(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	err := s.store.Claim(t.Context(), s.itemID(d), argument(t, d, "generation", strconv.Atoi), time.Time{})
	require.NoError(t, err)
	return "ok\n"
}

func (s *scenario) checkpoint(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	ops, err := sdk.ParseOps([]byte(d.Input), s.now)
	require.NoError(t, err)
	generation := 1
	if d.HasArg("generation") {
		generation = argument(t, d, "generation", strconv.Atoi)
	}
	transition, err := engine.Checkpoint(s.itemID(d), ops, s.now)
	if err != nil {
		return s.short(err.Error()) + "\n"
	}
	transition.Generation = generation
	return s.commit(t, transition)
}

func (s *scenario) wake(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	return s.commit(t, engine.Wake(s.item(t, d), 1, s.now))
}

// resume ends a wait by the n-th event (0: the one that started the run).
func (s *scenario) resume(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	state := s.load(t)
	event := state.Events[0]
	if n := argument(t, d, "event", strconv.Atoi); n > 0 {
		event.ID.ULID[15] = byte(n)
		event.Data = json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))
	}
	item := s.item(t, d)
	transition, ok := engine.Resume(state, stepwell.Wait{Item: item}, event, event.AppendJSON(nil), s.now)
	if !ok {
		return "the event may not end it\n"
	}
	return s.commit(t, transition)
}

func (s *scenario) signal(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	wait := stepwell.Wait{Environment: stepwell.DefaultEnvironment(), Item: s.item(t, d), Name: "approve"}
	return s.commit(t, engine.Signal(wait, json.RawMessage(d.Input), s.now))
}

func (s *scenario) cancel(t *testing.T, _ *datadriven.TestData) string {
	t.Helper()
	state := s.load(t)
	return s.decide(t, func(heard engine.Heard) stepwell.Transition { return engine.Cancel(state, s.now, heard) })
}

// decide commits an end, and decides once more if somebody listens.
func (s *scenario) decide(t *testing.T, decision func(heard engine.Heard) stepwell.Transition) string {
	t.Helper()
	transition := decision(nil)
	results, err := s.store.Commit(t.Context(), []stepwell.Transition{transition})
	require.NoError(t, err)
	if errors.Is(results[0].Err, stepwell.ErrStale) {
		return s.commit(t, decision(engine.AllHeard()))
	}
	return s.tell(t, results[0])
}

func (s *scenario) pass(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	duration, err := time.ParseDuration(d.CmdArgs[0].Key)
	require.NoError(t, err)
	s.now = s.now.Add(duration)
	return s.since(s.now) + "\n"
}

func (s *scenario) history(t *testing.T, _ *datadriven.TestData) string {
	t.Helper()
	history, err := s.store.RunHistory(t.Context(), stepwell.DefaultEnvironment(), s.id)
	require.NoError(t, err)
	var b strings.Builder
	for _, step := range history.Steps {
		fmt.Fprintf(&b, "step %s %q %s %s", step.ID, step.Name, step.Kind, step.Status)
		if step.Status != stepwell.StepOpen {
			fmt.Fprintf(&b, " %s", step.Result.AppendMemo(nil))
		}
		b.WriteByte('\n')
	}
	for _, attempt := range history.Attempts {
		fmt.Fprintf(&b, "attempt %d of %s", attempt.Number, s.short(string(attempt.Item)))
		if attempt.Step != "" {
			fmt.Fprintf(&b, " for %s %q", attempt.Step, attempt.StepName)
		}
		fmt.Fprintf(&b, ": %s", attempt.Status)
		if len(attempt.Error) > 0 {
			fmt.Fprintf(&b, " %s", attempt.Error)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// commit applies the transition and tells what became of the run.
func (s *scenario) commit(t *testing.T, transition stepwell.Transition) string {
	t.Helper()
	results, err := s.store.Commit(t.Context(), []stepwell.Transition{transition})
	require.NoError(t, err)
	return s.tell(t, results[0])
}

func (s *scenario) tell(t *testing.T, committed store.Committed) string {
	t.Helper()
	if err := committed.Err; err != nil {
		return "refused: " + s.short(err.Error()) + "\n"
	}
	return s.describe(t)
}

// describe tells what the run waits for, or how it ended.
func (s *scenario) describe(t *testing.T) string {
	t.Helper()
	run, err := s.store.Run(t.Context(), stepwell.DefaultEnvironment(), s.id)
	require.NoError(t, err)
	if run.Status.Ended() {
		return strings.TrimSpace(fmt.Sprintf("%s %s", run.Status, run.Output)) + "\n"
	}
	var b strings.Builder
	for _, item := range run.Progress.Open {
		fmt.Fprintf(&b, "open %s due %s\n", s.short(string(item.ID)), s.since(item.DueAt))
	}
	return b.String()
}

func (s *scenario) load(t *testing.T) stepwell.RunState {
	t.Helper()
	state, err := store.LoadRun(t.Context(), s.store, s.id)
	require.NoError(t, err)
	return state
}

func (s *scenario) itemID(d *datadriven.TestData) stepwell.ItemID {
	return stepwell.ItemID(s.id.String() + "." + d.CmdArgs[0].Key)
}

// item is the open item of this name, or what a late executor believes to hold.
func (s *scenario) item(t *testing.T, d *datadriven.TestData) stepwell.Item {
	t.Helper()
	run := s.load(t).Run
	if item, open := run.Progress.OpenItem(s.itemID(d)); open {
		return item
	}
	return stepwell.Item{ID: s.itemID(d), Run: s.id, Function: run.Function}
}

// short drops the run's id, which is the same everywhere.
func (s *scenario) short(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, s.id.String()+".", ""), s.id.String(), "RUN")
}

func (s *scenario) since(at time.Time) string { return "+" + at.Sub(epoch()).String() }

func argument[T any](t *testing.T, d *datadriven.TestData, key string, parse func(string) (T, error)) T {
	t.Helper()
	var text string
	d.ScanArgs(t, key, &text)
	value, err := parse(text)
	require.NoError(t, err)
	return value
}
