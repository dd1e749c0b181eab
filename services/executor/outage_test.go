package executor_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/executor"
	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// host is an app that may be down.
type host struct {
	down  atomic.Bool
	calls atomic.Int64
}

func (h *host) network(*http.Request) (*http.Response, error) {
	h.calls.Add(1)
	if h.down.Load() {
		return nil, syscall.ECONNREFUSED
	}
	return answer(200, `"done"`), nil
}

// TestAppThatIsAwayCostsNoAttempts: even a function that is never retried survives the restart of its app.
func TestAppThatIsAwayCostsNoAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var app host
		app.down.Store(true)
		r := newRig(t, app.network, nil)
		r.function.Retries = 0
		r.sync(r.function)
		r.run()
		run := r.start()
		<-time.After(executor.DefaultConfig().SystemRetryFor - time.Second)
		require.Less(t, app.calls.Load(), int64(40))
		app.down.Store(false)
		<-time.After(time.Minute)
		r.halt()
		history, err := r.RunHistory(t.Context(), run.Environment, run.ID)
		require.NoError(t, err)
		require.Equal(t, stepwell.RunCompleted, history.Run.Status)
		for _, attempt := range history.Attempts {
			require.Equal(t, 0, attempt.Number)
		}
		first := history.Attempts[0]
		require.Equal(t, stepwell.AttemptRetried, first.Status, "people see why nothing moves")
		require.Contains(t, string(first.Error), "connection refused")
		require.Equal(t, time.Second, first.NextAt.Sub(first.EndedAt))
		require.Equal(t, queue.Stats{}, r.stats())
	})
}

// TestAppThatStaysAwayFailsItsRuns: those that were called, and those that only waited for others' calls.
func TestAppThatStaysAwayFailsItsRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var app host
		app.down.Store(true)
		r := newRig(t, app.network, nil)
		r.function.Retries = 1
		r.sync(r.function)
		r.run()
		var runs []stepwell.Run
		for range 300 {
			runs = append(runs, r.start())
			<-time.After(time.Millisecond)
		}
		budget := executor.DefaultConfig().SystemRetryFor
		<-time.After(budget - time.Minute)
		require.Less(t, app.calls.Load(), int64(60), "it is not beaten while it is down")
		for _, run := range runs {
			require.Equal(t, stepwell.RunRunning, r.loadRun(run.ID).Run.Status)
		}
		<-time.After(4 * time.Minute)
		r.halt()
		for _, run := range runs {
			failed := r.loadRun(run.ID).Run
			require.Equal(t, stepwell.RunFailed, failed.Status)
			require.Contains(t, string(failed.Output), "connection refused")
			require.Contains(t, string(failed.Output), "unreachable since 2000-01-01T00:00:00Z")
		}
		require.Equal(t, queue.Stats{}, r.stats())
	})
}

// TestDeadAppHoldsUpNobodyElse: while one app takes long to fail, another's runs go on, and its own follow soon after it
// is back.
func TestDeadAppHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Bool
		r := newRig(t, func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "dead" && !back.Load() {
				<-time.After(10 * time.Second)
				return nil, context.DeadlineExceeded
			}
			return answer(200, `"done"`), nil
		}, nil)
		alive := r.function
		alive.ID, alive.Slug, alive.URL = stepwell.NewFunctionID(alive.App, "shop-alive"), "shop-alive", "http://alive/api"
		r.function.URL = "http://dead/api"
		r.sync(r.function, alive)
		r.run()
		var runs []stepwell.Run
		for range 500 {
			runs = append(runs, r.start())
			<-time.After(time.Millisecond)
		}
		<-time.After(time.Minute)
		r.function = alive
		run := r.start()
		synctest.Wait()
		require.Equal(t, stepwell.RunCompleted, r.loadRun(run.ID).Run.Status, "it has a worker at once")
		back.Store(true)
		<-time.After(90 * time.Second)
		for _, run := range runs {
			require.Equal(t, stepwell.RunCompleted, r.loadRun(run.ID).Run.Status)
		}
		r.halt()
		require.Equal(t, queue.Stats{}, r.stats())
	})
}

// TestStepThatKillsItsAppFailsAtLast: while other calls of the same app are answered.
func TestStepThatKillsItsAppFailsAtLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var poison stepwell.Run
		r := newRig(t, func(r *http.Request) (*http.Response, error) {
			if strings.Contains(r.Header.Get("X-Run-ID"), poison.ID.String()) {
				return nil, syscall.ECONNRESET
			}
			return answer(200, `"done"`), nil
		}, nil)
		poison = r.start()
		r.run()
		for range 1000 {
			<-time.After(time.Second)
			r.start()
		}
		r.halt()
		state := r.loadRun(poison.ID)
		require.Equal(t, stepwell.RunFailed, state.Run.Status)
		require.Contains(t, string(state.Run.Output), "unreachable since")
		history, err := r.RunHistory(t.Context(), poison.Environment, poison.ID)
		require.NoError(t, err)
		require.Less(t, len(history.Attempts), 40, fmt.Sprint(len(history.Attempts)))
	})
}
