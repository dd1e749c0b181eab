package sdk_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func TestFlowControlIsRead(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		members string
		want    stepwell.FlowControl
	}{
		"concurrency as a number": {`"concurrency":5`, stepwell.FlowControl{
			Concurrency: []stepwell.Concurrency{{Limit: 5}},
		}},
		"concurrency without a limit": {`"concurrency":0`, stepwell.FlowControl{
			Concurrency: []stepwell.Concurrency{{Limit: 0}},
		}},
		"concurrency as an object": {`"concurrency":{"limit":5,"key":"event.data.a","scope":"env","hash":"x"}`, stepwell.FlowControl{
			Concurrency: []stepwell.Concurrency{{Limit: 5, Key: "event.data.a", Scope: stepwell.ScopeEnvironment}},
		}},
		"concurrency as a list": {
			`"concurrency":[{"limit":5,"scope":"Fn"},{"limit":2,"key":"event.data.b","scope":"account"}]`, stepwell.FlowControl{
				Concurrency: []stepwell.Concurrency{
					{Limit: 5}, {Limit: 2, Key: "event.data.b", Scope: stepwell.ScopeAccount},
				},
			},
		},
		"concurrency of runs and steps": {
			`"concurrency":{"fn":[{"limit":1,"key":"event.data.a"}],"step":[{"limit":3},{"limit":4}]}`, stepwell.FlowControl{
				Concurrency: []stepwell.Concurrency{{Limit: 1, Key: "event.data.a", Runs: true}, {Limit: 3}, {Limit: 4}},
			},
		},
		"concurrency of runs only": {`"concurrency":{"fn":[{"limit":1,"scope":"fn"}]}`, stepwell.FlowControl{
			Concurrency: []stepwell.Concurrency{{Limit: 1, Runs: true}},
		}},
		"concurrency of steps only": {`"concurrency":{"step":[{"limit":3}]}`, stepwell.FlowControl{
			Concurrency: []stepwell.Concurrency{{Limit: 3}},
		}},
		"no concurrency": {`"concurrency":[]`, stepwell.FlowControl{}},
		"throttle": {`"throttle":{"limit":2,"period":"1m","key":"k","burst":3}`, stepwell.FlowControl{
			Throttle: &stepwell.Throttle{Limit: 2, Period: time.Minute, Key: "k", Burst: 3},
		}},
		"throttle without a limit": {`"throttle":{"period":"1s"}`, stepwell.FlowControl{
			Throttle: &stepwell.Throttle{Limit: 1, Period: time.Second},
		}},
		"rate limit": {`"rateLimit":{"limit":1,"period":"24h","key":"k"}`, stepwell.FlowControl{
			RateLimit: &stepwell.RateLimit{Limit: 1, Period: day, Key: "k"},
		}},
		"shortest rate limit": {`"rateLimit":{"limit":1,"period":"1ns"}`, stepwell.FlowControl{
			RateLimit: &stepwell.RateLimit{Limit: 1, Period: 1},
		}},
		"debounce": {`"debounce":{"period":"7d","key":"k","timeout":"8d"}`, stepwell.FlowControl{
			Debounce: &stepwell.Debounce{Period: 7 * day, Key: "k", Timeout: 8 * day},
		}},
		"shortest debounce": {`"debounce":{"period":"1s","key":""}`, stepwell.FlowControl{
			Debounce: &stepwell.Debounce{Period: time.Second},
		}},
		"batch": {`"batchEvents":{"maxSize":2,"timeout":"1s","key":"k","if":"event.data.b"}`, stepwell.FlowControl{
			Batch: &stepwell.Batch{SizeMax: 2, Timeout: time.Second, Key: "k", Condition: "event.data.b"},
		}},
		"batch of one":   {`"batchEvents":{"maxSize":1,"timeout":"5s"}`, stepwell.FlowControl{}},
		"batch of no":    {`"batchEvents":{}`, stepwell.FlowControl{}},
		"priority":       {`"priority":{"run":"event.data.p"}`, stepwell.FlowControl{Priority: "event.data.p"}},
		"empty priority": {`"priority":{}`, stepwell.FlowControl{}},
		"idempotency":    {`"idempotency":"event.data.id"`, stepwell.FlowControl{Idempotency: "event.data.id"}},
		"cancel": {
			`"cancel":[{"event":"a"},{"event":"b","if":"async.data.x","timeout":"1h"},{"event":"c","timeout":"2026-08-23"}]`,
			stepwell.FlowControl{CancelOn: []stepwell.CancelOn{
				{Event: "a"},
				{Event: "b", Condition: "async.data.x", After: time.Hour},
				{Event: "c", At: time.Date(2026, 8, 23, 0, 0, 0, 0, time.UTC)},
			}},
		},
		"timeouts": {`"timeouts":{"start":"10s","finish":"1d"}`, stepwell.FlowControl{
			StartWithin: 10 * time.Second, FinishWithin: day,
		}},
		"singleton": {`"singleton":{"key":"k"}`, stepwell.FlowControl{Singleton: &stepwell.Singleton{Key: "k"}}},
		"singleton of Go": {`"Singleton":{"key":"k","mode":"CANCEL"}`, stepwell.FlowControl{
			Singleton: &stepwell.Singleton{Key: "k", Mode: stepwell.SingletonCancel},
		}},
		"singleton that skips": {`"singleton":{"mode":"skip"}`, stepwell.FlowControl{Singleton: &stepwell.Singleton{}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, parsed(t, test.members).FlowControl)
		})
	}
}

// TestFlowControlBeyondItsBoundsIsRefused: the problem names the member, what it is and what it must be.
func TestFlowControlBeyondItsBoundsIsRefused(t *testing.T) {
	t.Parallel()
	six := strings.TrimSuffix(strings.Repeat(`{"event":"a"},`, 6), ",")
	for members, problem := range map[string]string{
		`"concurrency":[{"limit":1},{"limit":1},{"limit":1}]`: "3 concurrency limits, at most 2 are allowed",
		`"concurrency":-1`:                                        "concurrency_limit_invalid: a concurrency limit is below 0",
		`"concurrency":{"limit":1,"scope":"env"}`:                 `concurrency scope "env" needs a key`,
		`"concurrency":{"limit":1,"scope":"account"}`:             `concurrency scope "account" needs a key`,
		`"concurrency":{"limit":1,"scope":"planet","key":"k"}`:    `concurrency scope "planet": use fn, env or account`,
		`"concurrency":{"fn":[{"limit":0}]}`:                      "concurrency.fn needs a limit above 0",
		`"concurrency":{"fn":[{"limit":1},{"limit":1}]}`:          "concurrency.fn may have one limit",
		`"concurrency":{"fn":[{"limit":1,"scope":"env"}]}`:        "concurrency.fn has scope fn only",
		`"throttle":{"limit":1,"period":"999ms"}`:                 `throttle.period is "999ms", it must be 1s to 7d`,
		`"throttle":{"limit":1,"period":"8d"}`:                    `throttle.period is "8d", it must be 1s to 7d`,
		`"throttle":{"limit":1}`:                                  `throttle.period is "", it must be 1s to 7d`,
		`"throttle":{"limit":1,"period":"soon"}`:                  `throttle.period: duration "soon"`,
		`"throttle":{"limit":-1,"period":"1s"}`:                   "limit and burst cannot be below 0",
		`"throttle":{"limit":1,"period":"1s","burst":-1}`:         "limit and burst cannot be below 0",
		`"throttle":{"limit":"1","period":"1s"}`:                  "its configuration cannot be read: json",
		`"rateLimit":{"limit":0,"period":"1s"}`:                   "rateLimit.limit is 0, it must be 1 to 1000000000",
		`"rateLimit":{"limit":1,"period":"24h1s"}`:                `rateLimit.period is "24h1s", it must be above 0 and at most 24h`,
		`"rateLimit":{"limit":1,"period":"0s"}`:                   "it must be above 0 and at most 24h",
		`"rateLimit":{"limit":1}`:                                 `rateLimit.period is ""`,
		`"debounce":{"period":"999ms"}`:                           `debounce.period is "999ms", it must be 1s to 7d`,
		`"debounce":{"period":"7d1s"}`:                            `debounce.period is "7d1s"`,
		`"debounce":{"period":"1s","timeout":"later"}`:            `debounce.timeout: duration "later"`,
		`"batchEvents":{"maxSize":0,"timeout":"1s"}`:              "batchEvents.maxSize is 0, it must be 2 to 1000",
		`"batchEvents":{"maxSize":-1,"timeout":"1s"}`:             "batchEvents.maxSize is -1, it must be 2 to 1000",
		`"batchEvents":{"maxSize":1001,"timeout":"1s"}`:           "batch_size_invalid: batchEvents.maxSize is 1001, it must be 2 to 1000",
		`"batchEvents":{"maxSize":2,"timeout":"169h"}`:            `batch_timeout_invalid: batchEvents.timeout is "169h", it must be 1s to 168h`,
		`"batchEvents":{"maxSize":2}`:                             `batch_timeout_invalid: batchEvents.timeout is ""`,
		`"batchEvents":{"maxSize":2,"timeout":"999ms"}`:           `batchEvents.timeout is "999ms", it must be 1s to 168h`,
		`"batchEvents":{"maxSize":2,"timeout":"1d"}`:              `batchEvents.timeout is "1d"`,
		`"cancel":[` + six + `]`:                                  "it has 6 entries in cancel, at most 5 are allowed",
		`"cancel":[{}]`:                                           "cancel: event must have 1 to 255 bytes",
		`"cancel":[{"event":"` + strings.Repeat("e", 256) + `"}]`: "cancel: event must have 1 to 255 bytes",
		`"cancel":[{"event":"a","timeout":"later"}]`:              `cancel: timeout "later" is neither a duration such as 1h nor a date`,
		`"timeouts":{"start":"later"}`:                            `timeouts.start: duration "later"`,
		`"timeouts":{"finish":"later"}`:                           `timeouts.finish: duration "later"`,
		`"singleton":{"mode":"kill"}`:                             `singleton.mode is "kill": use skip or cancel`,
	} {
		t.Run(members, func(t *testing.T) {
			t.Parallel()
			requireProblem(t, members, problem)
		})
	}
}

func TestBoundsThemselvesAreFine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("e", stepwell.TriggerBytesMax)
	five := strings.TrimSuffix(strings.Repeat(`{"event":"`+long+`"},`, stepwell.CancelOnMax), ",")
	function := parsed(t, `"cancel":[`+five+`],"triggers":[{"event":"`+long+`"},{"cron":"`+long+`"}],
		"throttle":{"limit":0,"burst":0,"period":"1s"}`)
	require.Len(t, function.FlowControl.CancelOn, 5)
	require.Equal(t, long, function.FlowControl.CancelOn[4].Event)
	require.Equal(t, []stepwell.Trigger{{Event: long}, {Cron: long}}, function.Triggers)
	require.Equal(t, &stepwell.Throttle{Limit: 1, Period: time.Second}, function.FlowControl.Throttle)
}

func TestBatchesGoAlone(t *testing.T) {
	t.Parallel()
	const batch = `"batchEvents":{"maxSize":2,"timeout":"1s"},`
	for _, members := range []string{
		`"cancel":[{"event":"a"}]`, `"debounce":{"period":"1s"}`, `"singleton":{}`, `"priority":{"run":"1"}`,
	} {
		requireProblem(t, batch+members, "combo_unsupported: batchEvents cannot be combined")
	}
	function := parsed(t, batch+`"concurrency":1,"throttle":{"limit":1,"period":"1s"},"rateLimit":{"limit":1,"period":"1s"},
		"idempotency":"event.id","timeouts":{"start":"1s"}`)
	require.NotNil(t, function.FlowControl.Batch)
}
