package executor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/state/store"
)

// counted counts what the executor loads.
type counted struct {
	store.Committer
	loads atomic.Int64
}

func (c *counted) LoadRuns(ctx context.Context, ids []stepwell.RunID) ([]store.Loaded, error) {
	c.loads.Add(int64(len(ids)))
	return c.Committer.LoadRuns(ctx, ids)
}

// between puts the counter between executor and store.
func (c *counted) between(next store.Committer) store.Committer {
	c.Committer = next
	return c
}

// stepsOf are the results that a call tells the app.
func stepsOf(t *testing.T, r *http.Request) map[string]json.RawMessage {
	t.Helper()
	var body struct {
		Steps map[string]json.RawMessage `json:"steps"`
	}
	raw, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(raw, &body)
	}
	if err != nil {
		t.Error(err)
	}
	return body.Steps
}

func TestRunIsLoadedOnceForTenSteps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c counted
		r := newRig(t, func(r *http.Request) (*http.Response, error) {
			known := stepsOf(t, r)
			for i := range len(known) {
				if id := fmt.Sprint("s", i); string(known[id]) != fmt.Sprintf(`{"data":%d}`, i) {
					t.Errorf("step %s is %s", id, known[id])
				}
			}
			if n := len(known); n < 10 {
				return answer(206, fmt.Sprintf(`[{"op":"StepRun","id":"s%d","data":%d}]`, n, n)), nil
			}
			return answer(200, `"done"`), nil
		}, c.between)
		r.run()
		run := r.start()
		synctest.Wait()
		r.halt()
		require.Equal(t, stepwell.RunCompleted, r.loadRun(run.ID).Run.Status)
		require.Len(t, r.loadRun(run.ID).Steps, 10)
		require.EqualValues(t, 1, c.loads.Load())
	})
}

// TestCheckpointDuringACallIsSeenByTheNext: even if the answer tells of the same step, with another result.
func TestCheckpointDuringACallIsSeenByTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c counted
		var seen []map[string]json.RawMessage
		var r *rig
		var run stepwell.Run
		r = newRig(t, func(request *http.Request) (*http.Response, error) {
			seen = append(seen, stepsOf(t, request))
			switch len(seen) {
			case 1:
				results, err := r.Commit(t.Context(), []stepwell.Transition{{
					Run: run.ID, Settles: run.Progress.Open[0].ID, Keep: true, At: time.Now(),
					Records: []stepwell.Step{{
						ID: "a", Status: stepwell.StepCompleted, Result: stepwell.Result{JSON: json.RawMessage(`"reported"`)},
					}},
				}})
				if err != nil || results[0].Err != nil {
					t.Error(err, results)
				}
				return answer(206, `[{"op":"StepRun","id":"a","data":"answered"}]`), nil
			case 2:
				return answer(206, `[{"op":"StepRun","id":"b","data":2}]`), nil
			}
			return answer(200, `"done"`), nil
		}, c.between)
		run = r.start()
		r.run()
		synctest.Wait()
		r.halt()
		require.Len(t, seen, 3)
		require.JSONEq(t, `{"data":"reported"}`, string(seen[1]["a"]))
		require.JSONEq(t, `{"data":"reported"}`, string(seen[2]["a"]))
		require.EqualValues(t, 2, c.loads.Load(), "the first call, and the one after the checkpoint")
		require.Equal(t, stepwell.RunCompleted, r.loadRun(run.ID).Run.Status)
	})
}

// TestParallelStepsOfOthersAreSeen: who goes on with the run knows what others recorded meanwhile.
func TestParallelStepsOfOthersAreSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c counted
		var last map[string]json.RawMessage
		r := newRig(t, func(request *http.Request) (*http.Response, error) {
			known := stepsOf(t, request)
			switch target := request.URL.Query().Get("stepId"); {
			case target != "step":
				<-time.After(time.Duration(target[1]-'0') * 100 * time.Millisecond)
				return answer(206, fmt.Sprintf(`[{"op":"StepRun","id":%q,"data":%q}]`, target, target)), nil
			case len(known) == 0:
				return answer(206, `[{"op":"StepPlanned","id":"p1"},{"op":"StepPlanned","id":"p2"},
					{"op":"StepPlanned","id":"p3"}]`), nil
			default:
				last = known
				return answer(200, `"done"`), nil
			}
		}, c.between)
		run := r.start()
		r.run()
		<-time.After(time.Second)
		r.halt()
		require.Equal(t, stepwell.RunCompleted, r.loadRun(run.ID).Run.Status)
		for _, id := range []string{"p1", "p2", "p3"} {
			require.Equal(t, fmt.Sprintf(`{"data":%q}`, id), string(last[id]))
		}
		require.EqualValues(t, 4, c.loads.Load(), "the discovery, two of its steps, and the last one; one step was held")
	})
}

// TestLongVisitLoadsAgain: the function may have another URL by now.
func TestLongVisitLoadsAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c counted
		r := newRig(t, func(request *http.Request) (*http.Response, error) {
			if len(stepsOf(t, request)) == 0 {
				<-time.After(time.Minute)
				return answer(206, `[{"op":"StepRun","id":"a"}]`), nil
			}
			return answer(200, `"done"`), nil
		}, c.between)
		run := r.start()
		r.run()
		<-time.After(2 * time.Minute)
		r.halt()
		require.Equal(t, stepwell.RunCompleted, r.loadRun(run.ID).Run.Status)
		require.EqualValues(t, 2, c.loads.Load())
	})
}
