package sdk_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// charge and complete are SHA-1 hashes, as SDKs make them.
const (
	charge   = "5ea9c348e59fe73a4b15cb287e33e4546dcef782"
	complete = "0737c22d3bfae812339732d14d8c7dbd6dc4e09c"
)

func TestStepsAreHashedAsSDKsDo(t *testing.T) {
	t.Parallel()
	require.Equal(t, stepwell.StepID(charge), sdk.HashStepID("charge"))
	require.Equal(t, stepwell.StepID(complete), sdk.HashStepID("complete"))
}

// TestOperationsOfEverySDK: what they send, with all their nulls and zeros.
func TestOperationsOfEverySDK(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		wire string
		want stepwell.Op
	}{
		"JS step": {
			`{"op":"StepRun","id":"` + charge + `","name":"charge","displayName":"Charge card",
			"opts":{"type":"step.run","input":[1,2]},"data":{"ok": 1.0},"error":null,"userland":{"id":"charge","index":1},
			"timing":{"a":1754000000000000000,"b":12000000},
			"metadata":[{"kind":"userland.x","scope":"step","op":"set","values":{}}]}`,
			stepwell.Op{
				Code: stepwell.OpStepRun, Opcode: "StepRun", Step: charge, Name: "Charge card",
				Data:      json.RawMessage(`{"ok": 1.0}`),
				StartedAt: time.UnixMilli(1754000000000).UTC(), EndedAt: time.UnixMilli(1754000000012).UTC(),
			},
		},
		"old step": {
			`{"op":"Step","id":"a","name":"n","data":null}`,
			stepwell.Op{Code: stepwell.OpStepRun, Opcode: "Step", Step: "a", Name: "n", Data: json.RawMessage(`null`)},
		},
		"step without data": {
			`{"op":"StepRun","id":"a"}`,
			stepwell.Op{Code: stepwell.OpStepRun, Opcode: "StepRun", Step: "a", Name: "a", Data: json.RawMessage(`null`)},
		},
		"Go sleep": {
			`{"op":"Sleep","id":"a","name":"nap","opts":{"duration":"1h"},"data":null,"error":null,"displayName":null,
			"timing":{"a":0,"b":0},"userland":{"id":"nap"}}`,
			stepwell.Op{Code: stepwell.OpSleep, Opcode: "Sleep", Step: "a", Name: "nap", DueAt: now().Add(time.Hour)},
		},
		"JS sleep": {
			`{"id":"a","op":"Sleep","name":"1w","displayName":"nap","userland":{"id":"nap"}}`,
			stepwell.Op{Code: stepwell.OpSleep, Opcode: "Sleep", Step: "a", Name: "nap", DueAt: now().Add(7 * day)},
		},
		"Python sleep": {
			`{"op":"Sleep","id":"a","name":"2026-01-03T00:00:00.500Z","displayName":"nap","opts":null,
			"userland":{"id":"nap","index":null}}`,
			stepwell.Op{
				Code: stepwell.OpSleep, Opcode: "Sleep", Step: "a", Name: "nap",
				DueAt: time.Date(2026, 1, 3, 0, 0, 0, 500_000_000, time.UTC),
			},
		},
		"sleep that is over": {
			`{"id":"a","op":"Sleep","name":"2020-01-01"}`,
			stepwell.Op{
				Code: stepwell.OpSleep, Opcode: "Sleep", Step: "a", Name: "2020-01-01",
				DueAt: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
			},
		},
		"JS v3 sleep below a second": {
			`{"id":"a","op":"Sleep","name":"","opts":{"duration":""}}`,
			stepwell.Op{Code: stepwell.OpSleep, Opcode: "Sleep", Step: "a", Name: "a", DueAt: now()},
		},
		"the longest sleep": {
			`{"id":"a","op":"Sleep","name":"366d"}`,
			stepwell.Op{Code: stepwell.OpSleep, Opcode: "Sleep", Step: "a", Name: "366d", DueAt: now().Add(sdk.SleepMax)},
		},
		"JS wait": {
			`{"op":"WaitForEvent","id":"a","name":"a/b","displayName":"n","opts":{"timeout":"1h","if":" async.data.x == 1 "}}`,
			stepwell.Op{
				Code: stepwell.OpWaitForEvent, Opcode: "WaitForEvent", Step: "a", Name: "n", DueAt: now().Add(time.Hour),
				Wait: &stepwell.Wait{Kind: stepwell.WaitEvent, Name: "a/b", Expression: "async.data.x == 1"},
			},
		},
		"Go wait": {
			`{"op":"WaitForEvent","id":"a","name":"n","opts":{"event":"a/b","timeout":"1h","if":null},"displayName":null}`,
			stepwell.Op{
				Code: stepwell.OpWaitForEvent, Opcode: "WaitForEvent", Step: "a", Name: "n", DueAt: now().Add(time.Hour),
				Wait: &stepwell.Wait{Kind: stepwell.WaitEvent, Name: "a/b"},
			},
		},
		"wait until a date": {
			`{"op":"WaitForEvent","id":"a","name":"a/b","opts":{"timeout":"2026-01-03T00:00:00Z"}}`,
			stepwell.Op{
				Code: stepwell.OpWaitForEvent, Opcode: "WaitForEvent", Step: "a", Name: "a/b",
				DueAt: time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC), Wait: &stepwell.Wait{Kind: stepwell.WaitEvent, Name: "a/b"},
			},
		},
		"error": {
			`{"op":"StepError","id":"a","name":"n","error":{"name":"E","message":"m","data":null}}`,
			stepwell.Op{
				Code: stepwell.OpStepError, Opcode: "StepError", Step: "a", Name: "n",
				Failure: json.RawMessage(`{"name":"E","message":"m","data":null}`),
			},
		},
		"error that says nothing": {
			`{"op":"StepFailed","id":"a","name":"n"}`,
			stepwell.Op{
				Code: stepwell.OpStepFailed, Opcode: "StepFailed", Step: "a", Name: "n",
				Failure: json.RawMessage(`{"name":"Error","message":"Step execution error","data":null}`),
			},
		},
		"planned": {
			`{"op":"StepPlanned","id":"a","name":"n","opts":{"parallelMode":"wait"}}`,
			stepwell.Op{Code: stepwell.OpStepPlanned, Opcode: "StepPlanned", Step: "a", Name: "n"},
		},
		"racing": {
			`{"op":"StepPlanned","id":"a","name":"n","opts":{"parallelMode":"race"}}`,
			stepwell.Op{Code: stepwell.OpStepPlanned, Opcode: "StepPlanned", Step: "a", Name: "n", Race: true},
		},
		"racing in Go": {
			`{"op":"StepPlanned","id":"a","name":"n","opts":{"parallelMode":"Race"}}`,
			stepwell.Op{Code: stepwell.OpStepPlanned, Opcode: "StepPlanned", Step: "a", Name: "n", Race: true},
		},
		"options of another form": {
			`{"op":"StepPlanned","id":"a","name":"n","opts":["race"]}`,
			stepwell.Op{Code: stepwell.OpStepPlanned, Opcode: "StepPlanned", Step: "a", Name: "n"},
		},
		"result of the function": {
			`{"op":"RunComplete","id":"` + complete + `","data":{"ok":true}}`,
			stepwell.Op{
				Code: stepwell.OpRunComplete, Opcode: "RunComplete", Step: complete, Name: complete,
				Data: json.RawMessage(`{"ok":true}`),
			},
		},
		"no result": {
			`{"op":"RunComplete","id":"a"}`,
			stepwell.Op{
				Code: stepwell.OpRunComplete, Opcode: "RunComplete", Step: "a", Name: "a", Data: json.RawMessage(`null`),
			},
		},
		"discovery": {
			`{"op":"DiscoveryRequest","id":"a"}`,
			stepwell.Op{Code: stepwell.OpDiscoveryRequest, Opcode: "DiscoveryRequest", Step: "a", Name: "a"},
		},
		"nothing":     {`{"op":"None"}`, stepwell.Op{Opcode: "None"}},
		"not even op": {`{}`, stepwell.Op{}},
		"unknown": {
			`{"op":"TimeTravel","name":"back"}`,
			stepwell.Op{Code: stepwell.OpUnsupported, Opcode: "TimeTravel", Name: "back"},
		},
		"control characters in the name": {
			`{"op":"StepRun","id":"a","displayName":"a\u0000\n\u001b[2J\u0085é","data":"\u0000"}`,
			stepwell.Op{
				Code: stepwell.OpStepRun, Opcode: "StepRun", Step: "a", Name: "a[2Jé", Data: json.RawMessage(`"\u0000"`),
			},
		},
		"negative duration": {
			`{"op":"StepPlanned","id":"a","timing":{"a":1754000000000000000,"b":-5}}`,
			stepwell.Op{
				Code: stepwell.OpStepPlanned, Opcode: "StepPlanned", Step: "a", Name: "a",
				StartedAt: time.UnixMilli(1754000000000).UTC(), EndedAt: time.UnixMilli(1754000000000).UTC(),
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ops, err := sdk.ParseOps([]byte("["+test.wire+"]"), now())
			require.NoError(t, err)
			require.Equal(t, []stepwell.Op{test.want}, ops)
			alone := sdk.Parse(response(206, " "+test.wire+"\n"), now())
			require.Equal(t, stepwell.Outcome{Ops: ops, HTTPStatus: 206}, alone, "a single operation needs no list")
		})
	}
}

func TestStepIsCalledWhatItsAuthorCalledIt(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		`{"op":"StepRun","id":"i","name":"n","displayName":"d","userland":{"id":"u"}}`: "d",
		`{"op":"StepRun","id":"i","name":"n","displayName":"","userland":{"id":"u"}}`:  "u",
		`{"op":"StepRun","id":"i","name":"n"}`:                                         "n",
		`{"op":"StepRun","id":"i"}`:                                                    "i",
	}
	for wire, name := range tests {
		ops, err := sdk.ParseOps([]byte(wire), now())
		require.NoError(t, err)
		require.Equal(t, name, ops[0].Name, wire)
	}
}

func TestOperationsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	const body = `[{"op":"StepRun","id":"b"},{"op":"StepPlanned","id":"a"},{"op":"StepRun","id":"b"}]`
	outcome := sdk.Parse(response(206, body), now())
	require.Len(t, outcome.Ops, 3)
	require.Equal(t, []stepwell.StepID{"b", "a", "b"},
		[]stepwell.StepID{outcome.Ops[0].Step, outcome.Ops[1].Step, outcome.Ops[2].Step})
	require.Empty(t, outcome.Failure)
}

// TestOperationsThatCannotBeRead: the error names the operation, and only what cannot pass is not tried again.
func TestOperationsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	many := "[" + strings.Repeat(`{"op":"None"},`, sdk.OpsMax) + `{"op":"None"}]`
	tests := map[string]struct {
		body, message string
		noRetry       bool
	}{
		"empty":      {"", "the body is empty", false},
		"blank":      {" \n", "the body is empty", false},
		"null":       {`[{"op":"None"},null]`, "operation 1 is null", false},
		"no list":    {`"StepRun"`, "cannot unmarshal string", false},
		"broken off": {`[{"op":"StepRun","id":"a","da`, "unexpected end of JSON input (29 bytes)", false},
		"odd id": {
			`[{"op":"StepRun","id":"a\u0000","name":"n"}]`,
			`operation 0 (StepRun "n"): its id holds control characters`, false,
		},
		"no id": {`[{"op":"StepRun","name":"n"}]`, `operation 0 (StepRun "n"): it has no id`, false},
		"odd sleep": {
			`[{"op":"Sleep","id":"a","name":"a while"}]`,
			`operation 0 (Sleep "a while"): sleep: "a while" is neither a duration`, false,
		},
		"long sleep": {
			`[{"op":"Sleep","id":"a","name":"366d1s"}]`,
			"sleep until 2027-01-03T03:04:06Z: a sleep may last at most 366 days", true,
		},
		"far sleep": {`[{"op":"Sleep","id":"a","name":"9999-01-01"}]`, "a sleep may last at most 366 days", true},
		"too many":  {many, "1001 operations in one response, at most 1000 are allowed", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := sdk.ParseOps([]byte(test.body), now())
			require.ErrorContains(t, err, test.message)
			outcome := sdk.Parse(response(206, test.body), now())
			failure := failureOf(t, outcome)
			require.Equal(t, "invalid_response", failure.Name)
			require.Equal(t, "error reading generator opcode response: "+err.Error(), failure.Message)
			require.Equal(t, test.noRetry, outcome.NoRetry)
		})
	}
	ops, err := sdk.ParseOps([]byte("["+strings.Repeat(`{"op":"None"},`, sdk.OpsMax-1)+`{"op":"None"}]`), now())
	require.NoError(t, err)
	require.Len(t, ops, sdk.OpsMax)
}

// TestFailureOfTheFunctionAmongOperations: SDKs report it as an error of the step `complete`.
func TestFailureOfTheFunctionAmongOperations(t *testing.T) {
	t.Parallel()
	const failure = `{"name":"E","message":"m","data":null}`
	body := func(op, id string) string {
		return fmt.Sprintf(`[{"op":"StepRun","id":"a"},{"op":%q,"id":%q,"error":%s},{"op":"StepRun","id":"b"}]`,
			op, id, failure)
	}
	for op, final := range map[string]bool{"StepError": false, "StepFailed": true} {
		outcome := sdk.Parse(response(206, body(op, complete)), now())
		require.JSONEq(t, failure, string(outcome.Failure))
		require.Equal(t, final, outcome.NoRetry, op)
		require.Len(t, outcome.Ops, 2, "the steps that ran before are not lost")
		require.Equal(t, stepwell.StepID("a"), outcome.Ops[0].Step)
		require.Equal(t, stepwell.StepID("b"), outcome.Ops[1].Step)

		outcome = sdk.Parse(response(206, body(op, charge)), now())
		require.Empty(t, outcome.Failure, "the error of a step is the step's")
		require.False(t, outcome.NoRetry)
		require.Len(t, outcome.Ops, 3)
	}
	outcome := sdk.Parse(response(206, body("StepRun", complete)), now())
	require.Empty(t, outcome.Failure)
}
