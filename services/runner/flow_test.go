package runner_test

import (
	"testing"
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
