package sdk_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

const (
	runText   = "01K1H8R13VAH3449HM1MKGPG03"
	eventText = "01K1H8R13V0000000000000001"
)

func now() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// newCall is a call of a run in the middle of its life: two steps and a sleep are recorded, a step is planned.
func newCall() sdk.Call {
	app := stepwell.NewAppID(stepwell.DefaultEnvironment(), "shop")
	run := stepwell.Run{
		ID: stepwell.RunID{ULID: ulid.MustParse(runText)}, Function: stepwell.NewFunctionID(app, "shop-charge"),
		Progress: stepwell.Progress{RequestVersion: 2},
	}
	item := stepwell.NewStepItem(run, stepwell.ItemStep, "ccc", now())
	run.Progress.Open = []stepwell.Item{item}
	return sdk.Call{Item: item, Generation: 3, State: stepwell.RunState{
		Run: run,
		Function: stepwell.Function{
			ID: run.Function, Slug: "shop-charge", Retries: 4, URL: serveURL + "?fnId=shop-charge&stepId=step",
		},
		Events: []stepwell.Event{{
			ID: stepwell.EventID{ULID: ulid.MustParse(eventText)}, Name: "order/paid", Time: time.UnixMilli(1754000000000),
			Data: json.RawMessage(`{"n": 12345678901234567890.10}`), User: json.RawMessage(`{}`),
		}},
		Steps: []stepwell.Step{
			{ID: "bbb", Result: stepwell.Result{Kind: stepwell.ResultData, JSON: json.RawMessage(`{"<b>": 1e400}`)}},
			{ID: "aaa", Result: stepwell.Result{
				Kind: stepwell.ResultError, JSON: json.RawMessage(`{"name":"E","message":"m","data":null}`),
			}},
			{ID: "zzz", Result: stepwell.Result{Kind: stepwell.ResultBare, JSON: json.RawMessage(`null`)}},
		},
	}}
}

const serveURL = "http://app/api/inngest"

func bodyOf(t *testing.T, call sdk.Call) string {
	t.Helper()
	body, err := call.Body()
	require.NoError(t, err)
	return string(body)
}

// TestCallBody: what is stored is sent byte for byte, steps in the order in which they were recorded.
func TestCallBody(t *testing.T) {
	t.Parallel()
	call := newCall()
	requestID := stepwell.NewRequestID(call.Item.ID, 3).String()
	event := `{"data":{"n": 12345678901234567890.10},"id":"` + eventText +
		`","name":"order/paid","ts":1754000000000,"user":{}}`
	want := `{"ctx":{"attempt":0,"disable_immediate_execution":false,"env":"",` +
		`"fn_id":"4df6e8b1-b9bd-5722-b1db-37550bb04c00","generation_id":3,"job_id":"` + runText + `.sccc.0",` +
		`"max_attempts":5,"qi_id":"` + sdk.EncodeLease(call.Item.ID, call.Generation) + `","request_id":"` + requestID + `",` +
		`"run_id":"` + runText + `","stack":{"current":3,"stack":["bbb","aaa","zzz"]},"step_id":"step","use_api":false},` +
		`"defers":{},"event":` + event + `,"events":[` + event + `],` +
		`"steps":{"bbb":{"data":{"<b>": 1e400}},"aaa":{"error":{"name":"E","message":"m","data":null}},"zzz":null},` +
		`"use_api":false,"version":2}`
	body := bodyOf(t, call)
	require.Equal(t, strings.Split(want, ","), strings.Split(body, ","))
}

// TestFirstCallBody: SDKs need an object and a list where there is nothing yet.
func TestFirstCallBody(t *testing.T) {
	t.Parallel()
	call := newCall()
	call.State.Steps = nil
	call.State.Run.Progress.RequestVersion = stepwell.RequestVersionUnknown
	body := bodyOf(t, call)
	require.Contains(t, body, `"stack":{"current":0,"stack":[]}`)
	require.Contains(t, body, `"steps":{},`)
	require.True(t, strings.HasSuffix(body, `"version":-1}`))
}

func TestBatchIsSentWhole(t *testing.T) {
	t.Parallel()
	call := newCall()
	second := call.State.Events[0]
	second.Key, second.Name = "order-2", "order/refunded"
	call.State.Events = append(call.State.Events, second)
	var body struct {
		Event  struct{ Name string }
		Events []struct{ Name, ID string }
	}
	require.NoError(t, json.Unmarshal([]byte(bodyOf(t, call)), &body))
	require.Equal(t, "order/paid", body.Event.Name)
	require.Len(t, body.Events, 2)
	require.Equal(t, eventText, body.Events[0].ID)
	require.Equal(t, "order-2", body.Events[1].ID)
}

// TestAttemptIsWhatCounts: a checkpoint forgives the attempts before it, and the app must see it so.
func TestAttemptIsWhatCounts(t *testing.T) {
	t.Parallel()
	call := newCall()
	call.Item.Attempt, call.Item.Forgiven = 7, 4
	call.State.Function.Retries = 0
	body := bodyOf(t, call)
	require.Contains(t, body, `"attempt":3,`)
	require.Contains(t, body, `"max_attempts":1,`)
}

// TestOthersOpenMeansPlanOnly: while other steps are open, the app must not run a new one at once.
func TestOthersOpenMeansPlanOnly(t *testing.T) {
	t.Parallel()
	call := newCall()
	call.State.Run.Progress.Open = append(call.State.Run.Progress.Open,
		stepwell.NewStepItem(call.State.Run, stepwell.ItemSleep, "nap", now()))
	require.Contains(t, bodyOf(t, call), `"disable_immediate_execution":true,`)
}

func TestTargetOfACall(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		item   stepwell.Item
		target string
	}{
		"planned step": {stepwell.NewStepItem(stepwell.Run{}, stepwell.ItemStep, "abc", now()), "abc"},
		"discovery":    {stepwell.NewDiscovery(stepwell.Run{}, 2, now()), "step"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call := newCall()
			call.Item = test.item
			target, err := call.URL()
			require.NoError(t, err)
			require.Equal(t, serveURL+"?fnId=shop-charge&stepId="+test.target, target)
			require.Equal(t, test.target, call.Header().Get(sdk.HeaderStepID))
			require.Contains(t, bodyOf(t, call), `"step_id":"step"`, "the SDKs want this whatever the target")
		})
	}
}

// TestOtherMembersOfTheURLAreKept: the Go SDK has `step` beside `stepId`, and customers have their own.
func TestOtherMembersOfTheURLAreKept(t *testing.T) {
	t.Parallel()
	call := newCall()
	call.State.Function.URL = "https://user@app:8443/a%20b?step=step&fnId=shop-charge&q=a%26b"
	target, err := call.URL()
	require.NoError(t, err)
	require.Equal(t, "https://user@app:8443/a%20b?fnId=shop-charge&q=a%26b&step=step&stepId=ccc", target)
}

func TestURLThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "/api/inngest", "http://", "http://[::1", "app"} {
		call := newCall()
		call.State.Function.URL = text
		_, err := call.URL()
		require.ErrorIs(t, err, stepwell.ErrInvalid, text)
		require.ErrorContains(t, err, "function shop-charge")
	}
}

func TestCallHeaders(t *testing.T) {
	t.Parallel()
	call := newCall()
	require.Equal(t, http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"Stepwell"}, "X-Run-Id": {runText},
		"X-Request-Id":            {stepwell.NewRequestID(call.Item.ID, 3).String()},
		"X-Inngest-Generation-Id": {"3"}, "X-Inngest-Job-Id": {runText + ".sccc.0"}, "X-Inngest-Step-Id": {"ccc"},
		"X-Inngest-Req-Version": {"2"},
	}, call.Header())
}

// TestOurMembersAreInCanonicalOrder: signatures are over that form, so ours needs no second encoding.
func TestOurMembersAreInCanonicalOrder(t *testing.T) {
	t.Parallel()
	call := newCall()
	call.State.Events[0].Meta, call.State.Events[0].Version = json.RawMessage(`{"sessions":{}}`), "2"
	call.State.Steps = nil
	decoder := json.NewDecoder(strings.NewReader(bodyOf(t, call)))
	requireSorted(t, decoder)
}

// requireSorted reads one value and checks that the members of all objects are in the order of their names.
func requireSorted(t *testing.T, decoder *json.Decoder) {
	t.Helper()
	token, err := decoder.Token()
	require.NoError(t, err)
	open, isDelim := token.(json.Delim)
	if !isDelim {
		return
	}
	before := ""
	for decoder.More() {
		if open == '{' {
			name, err := decoder.Token()
			require.NoError(t, err)
			require.Less(t, before, name)
			before = name.(string)
		}
		requireSorted(t, decoder)
	}
	_, err = decoder.Token()
	require.NoError(t, err)
}

func TestEventAsFunctionsSeeIt(t *testing.T) {
	t.Parallel()
	event := stepwell.Event{
		ID: stepwell.EventID{ULID: ulid.MustParse(eventText)}, Name: `a/"<b>`, Key: "ü&1",
		Time: time.UnixMilli(1754000000123), Data: json.RawMessage(`{"a": [1.0]}`), User: json.RawMessage(`{"u":1}`),
		Version: `v"1`, Meta: json.RawMessage(`{"sessions":{"s":"1"}}`),
	}
	require.Equal(t, `x{"data":{"a": [1.0]},"id":"ü&1","meta":{"sessions":{"s":"1"}},"name":"a/\"<b>",`+
		`"ts":1754000000123,"user":{"u":1},"v":"v\"1"}`, string(event.AppendJSON([]byte("x"))))
}

func TestLeasesTravelThroughSDKs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		step := stepwell.StepID(rapid.String().Draw(t, "step"))
		run := stepwell.Run{ID: stepwell.RunID{ULID: ulid.MustParse(runText)}}
		id, generation := stepwell.NewStepItem(run, stepwell.ItemStep, step, now()).ID, rapid.IntRange(0, 1<<30).Draw(t, "generation")
		text := sdk.EncodeLease(id, generation)
		require.Regexp(t, `^[A-Za-z0-9_-]+$`, text)
		item, lease, err := sdk.DecodeLease(text)
		require.NoError(t, err)
		require.Equal(t, id, item)
		require.Equal(t, generation, lease)
	})
	old := base64.RawURLEncoding.EncodeToString([]byte(runText + ".d1.0"))
	item, generation, err := sdk.DecodeLease(old)
	require.NoError(t, err)
	require.Equal(t, stepwell.ItemID(runText+".d1.0"), item)
	require.Zero(t, generation)
	broken := base64.RawURLEncoding.EncodeToString([]byte(runText + ".d1.0#x"))
	for _, text := range []string{"", "#", "am9iOjpzaGFyZA", "am9iOjpzaGFyZA==", runText + ".d1.0", broken} {
		_, _, err := sdk.DecodeLease(text)
		require.ErrorIs(t, err, stepwell.ErrInvalid, text)
		require.ErrorContains(t, err, text)
	}
}

// longCall is a call of a run with 100 steps of 10 kB.
func longCall() sdk.Call {
	call := newCall()
	call.State.Steps = nil
	result := stepwell.Result{JSON: json.RawMessage(`"` + strings.Repeat("x", 10_000) + `"`)}
	for i := range 100 {
		id := stepwell.StepID(fmt.Sprintf("%040x", i))
		call.State.Steps = append(call.State.Steps, stepwell.Step{ID: id, Result: result})
	}
	return call
}

// TestBodyIsAllocatedOnce: it is assembled from stored bytes, each copied once, and never grows beyond its first room.
func TestBodyIsAllocatedOnce(t *testing.T) {
	t.Parallel()
	body, err := longCall().Body()
	require.NoError(t, err)
	require.Greater(t, len(body), 1_000_000)
	require.Less(t, cap(body), len(body)+len(body)/100, "growing it would have left more room")
}

func BenchmarkBody(b *testing.B) {
	call := longCall()
	b.ReportAllocs()
	for b.Loop() {
		body, err := call.Body()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(body)))
	}
}
