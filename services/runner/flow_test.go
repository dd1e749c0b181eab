package runner_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// TestPriorityIsThatOfTheRunAndItsItems: what an expression yields that is no whole number is no priority, and keeps nothing
// from starting.
func TestPriorityIsThatOfTheRunAndItsItems(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]time.Duration{
		"":                                   0,
		"120":                                2 * time.Minute,
		"-120":                               -2 * time.Minute,
		"event.data.plan == 'pro' ? 60 : 0":  time.Minute,
		"event.data.plan == 'free' ? 60 : 0": 0,
		"int(event.data.n)":                  7 * time.Second,
		"event.data.n":                       7 * time.Second,
		"event.data.n + 0.5":                 0,
		"event.data.plan":                    0,
		"event.data.list[3]":                 0,
		"999999999":                          stepwell.PriorityMax,
		"-999999999":                         -stepwell.PriorityMax,
	} {
		t.Run(expression, func(t *testing.T) {
			t.Parallel()
			function := on("charge", "a")
			function.FlowControl.Priority = expression
			r := newRig(t, function)
			require.NoError(t, r.publish(event("a", `{"plan":"pro","n":7,"list":[]}`)))
			leased, err := r.Lease(t.Context(), queue.LeaseRequest{Now: time.Now(), Max: 10, Until: time.Now().Add(time.Minute)})
			require.NoError(t, err)
			require.Len(t, leased.Leases, 1)
			require.Equal(t, want, leased.Leases[0].Item.Priority)
			run, err := r.Run(t.Context(), shop().Environment, leased.Leases[0].Item.Run)
			require.NoError(t, err)
			require.Equal(t, want, run.Priority)
			require.Equal(t, run.Progress.Open[0], leased.Leases[0].Item, "put back, it goes ahead just so")
		})
	}
}

// TestRunTellsWhichExpressionsFailed, and what counts instead.
func TestRunTellsWhichExpressionsFailed(t *testing.T) {
	t.Parallel()
	const broken = "event.data.list[3]"
	const because = "cannot be evaluated: 1:16: index 3 is out of range in a list of 0"
	for name, c := range map[string]struct {
		flow  stepwell.FlowControl
		skip  stepwell.SkipReason
		notes []string
	}{
		"nothing": {flow: stepwell.FlowControl{Priority: "1"}},
		"limits": {
			flow: stepwell.FlowControl{
				Priority: broken, Singleton: &stepwell.Singleton{Key: broken},
				Concurrency: []stepwell.Concurrency{{Limit: 1, Key: broken}},
				Throttle:    &stepwell.Throttle{Limit: 1, Period: time.Minute, Key: broken},
			},
			notes: []string{
				"priority.run " + because + ": the run has none", "concurrency.key " + because + ": it has the value <invalid>",
				"throttle.key " + because + ": it has the value <invalid>",
				"singleton.key " + because + ": the run starts as if its function were no singleton",
			},
		},
		"no number": {
			flow:  stepwell.FlowControl{Priority: "'high'"},
			notes: []string{`priority.run cannot be evaluated: "high" is no whole number: the run has none`},
		},
		"rate limit": {
			flow: stepwell.FlowControl{RateLimit: &stepwell.RateLimit{Limit: 1, Period: time.Minute, Key: broken}},
			skip: stepwell.SkipKeyInvalid, notes: []string{"rateLimit.key " + because + ", so nothing is executed"},
		},
		"idempotency": {
			flow: stepwell.FlowControl{Idempotency: broken},
			skip: stepwell.SkipKeyInvalid, notes: []string{"idempotency " + because + ", so nothing is executed"},
		},
		"batch condition": {
			flow:  stepwell.FlowControl{Batch: &stepwell.Batch{SizeMax: 2, Timeout: time.Minute, Condition: broken}},
			notes: []string{"batchEvents.if " + because + ": the event is not batched"},
		},
		"batch key": {
			flow:  stepwell.FlowControl{Batch: &stepwell.Batch{SizeMax: 2, Timeout: time.Second, Key: broken}},
			notes: []string{"batchEvents.key " + because + ": such events share one key"},
		},
		"debounce key": {
			flow:  stepwell.FlowControl{Debounce: &stepwell.Debounce{Period: time.Second, Key: broken}},
			notes: []string{"debounce.key " + because + ": such events share one key"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				function := on("charge", "a")
				function.FlowControl = c.flow
				r := newRig(t, function)
				defer r.run()()
				e := event("a", `{"list":[]}`)
				require.NoError(t, r.publish(e))
				<-time.After(5 * time.Second)
				run := r.runOf(e)
				require.Equal(t, c.notes, run.Notes)
				require.Equal(t, c.skip, run.Skip)
			})
		})
	}
}
