package app

import (
	"context"
	"crypto/sha1" //nolint:gosec // the protocol names steps by it
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// call is what the app reads of a call.
type call struct {
	Event struct {
		Data eventData `json:"data"`
	} `json:"event"`
	Context struct {
		RunID       string `json:"run_id"`
		FunctionID  string `json:"fn_id"`
		QueueItemID string `json:"qi_id"`
		Attempt     int    `json:"attempt"`
		PlanOnly    bool   `json:"disable_immediate_execution"`
	} `json:"ctx"`
	Steps map[string]json.RawMessage `json:"steps"`

	arrived    time.Time
	requestID  string
	generation int
}

// op is an operation as SDKs report it.
type op struct {
	Op          string          `json:"op"`
	ID          string          `json:"id"`
	Name        string          `json:"name,omitempty"`
	DisplayName string          `json:"displayName,omitempty"`
	Opts        json.RawMessage `json:"opts,omitempty"`
	Data        json.RawMessage `json:"data,omitempty"`
	Userland    *userland       `json:"userland,omitempty"`
	Timing      *timing         `json:"timing,omitempty"`
}

type userland struct {
	ID string `json:"id"`
}

// timing is a step's begin and duration in nanoseconds.
type timing struct {
	Begin    int64 `json:"a"`
	Duration int64 `json:"b"`
}

// result is what each step and run results in.
const result = `"done"`

// ServeHTTP answers a call of the server.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	w.Header().Set("X-Inngest-Sdk", sdkHeader)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, callBytesMax))
	if err == nil && a.config.Verify {
		err = verify(a.config.SigningKey, r.Header.Get("X-Inngest-Signature"), body, arrived)
	}
	c := call{arrived: arrived, requestID: r.Header.Get("X-Request-Id")}
	if err == nil {
		err = json.Unmarshal(body, &c)
	}
	if err != nil {
		a.note(fmt.Errorf("a call was refused: %w", err))
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	// The header is optional: without it there are no generations to tell apart.
	c.generation, _ = strconv.Atoi(r.Header.Get("X-Inngest-Generation-Id"))
	w.Header().Set("X-Inngest-Req-Version", "2")
	b := a.batchOf(c)
	if b != nil {
		b.arrive(c)
		select {
		case <-b.released:
		case <-r.Context().Done():
		}
	}
	ops := a.answer(r.Context(), c, b)
	// The answer is counted before it is written, lest the next call overtake it.
	if b != nil {
		b.leave(c, ops)
	}
	w.Header().Set("Content-Type", "application/json")
	if len(ops) == 1 && ops[0].Op == "RunComplete" && !c.Event.Data.Checkpoint {
		_, _ = io.WriteString(w, result) // a server that is gone calls again
		return
	}
	w.WriteHeader(http.StatusPartialContent)
	_ = json.NewEncoder(w).Encode(ops) // a server that is gone calls again
}

// batchOf is the batch of a call, nil if it is of an earlier program or was closed.
func (a *App) batchOf(c call) *Batch {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.batches[c.Event.Data.Batch]
	if b == nil || c.Event.Data.Run < 0 || c.Event.Data.Run >= len(b.runs) {
		return nil
	}
	return b
}

// answer decides what comes next in a run. A run of a batch that is gone ends.
func (a *App) answer(ctx context.Context, c call, b *Batch) []op {
	plan, done := c.Event.Data, len(c.Steps)
	if b == nil {
		return []op{runComplete()}
	}
	for i := done; i < plan.Steps; i++ {
		step := stepRun(i)
		// A call that is not a first attempt gets its step as the answer, as SDKs do it.
		if !plan.Checkpoint || c.Context.PlanOnly || c.Context.Attempt > 0 {
			return []op{step}
		}
		begun := time.Now()
		if err := a.checkpoint(ctx, c, step); err != nil {
			a.note(err)
			return []op{step}
		}
		b.gap(c, time.Since(begun))
	}
	switch {
	case plan.WaitMS > 0 && done <= plan.Steps:
		return []op{a.wait(plan)}
	case plan.Sleeps > 0 && done <= plan.Steps:
		return sleeps(plan)
	case done < plan.Steps+plan.Sleeps && plan.Sleeps > 0:
		return []op{} // some of them still last
	default:
		return []op{runComplete()}
	}
}

func runComplete() op {
	return op{Op: "RunComplete", ID: stepID("complete"), Data: json.RawMessage(result)}
}

func stepRun(i int) op {
	name := "step-" + strconv.Itoa(i)
	return op{
		Op: "StepRun", ID: stepID(name), Name: name, DisplayName: name, Opts: json.RawMessage(`{}`),
		Data: json.RawMessage(result), Userland: &userland{ID: name}, Timing: &timing{Begin: time.Now().UnixNano()},
	}
}

func sleeps(plan eventData) []op {
	ops := make([]op, plan.Sleeps)
	duration := strconv.FormatInt(plan.SleepMS, 10) + "ms"
	for i := range ops {
		name := "sleep-" + strconv.Itoa(i)
		ops[i] = op{Op: "Sleep", ID: stepID(name), Name: duration, DisplayName: name, Userland: &userland{ID: name}}
	}
	return ops
}

// wait is a wait for the event that has the run's id.
func (a *App) wait(plan eventData) op {
	const name = "wait"
	opts := fmt.Sprintf(`{"timeout":"%dms","if":"async.data.id == event.data.id"}`, plan.WaitMS)
	return op{
		Op: "WaitForEvent", ID: stepID(name), Name: a.eventResume(), DisplayName: name, Opts: json.RawMessage(opts),
		Userland: &userland{ID: name},
	}
}

func stepID(name string) string {
	sum := sha1.Sum([]byte(name)) //nolint:gosec // the protocol names steps by it
	return hex.EncodeToString(sum[:])
}

// checkpoint reports a step while the call goes on.
func (a *App) checkpoint(ctx context.Context, c call, step op) error {
	report := map[string]any{
		"run_id": c.Context.RunID, "fn_id": c.Context.FunctionID, "qi_id": c.Context.QueueItemID,
		"request_id": c.requestID, "generation_id": c.generation, "request_started_at": c.arrived.UnixMilli(),
		"ts": time.Now().UnixMilli(), "steps": []op{step},
	}
	return a.retry(ctx, func() (bool, error) {
		err := a.send(ctx, http.MethodPost, "/v1/checkpoint/"+c.Context.RunID+"/async", report, nil)
		var refused *refusal
		// 409 means that the call is another's by now.
		return !errors.As(err, &refused) || refused.status != http.StatusConflict, err
	})
}

// arrive records a call.
func (b *Batch) arrive(c call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	run := &b.runs[c.Event.Data.Run]
	run.ID = c.Context.RunID
	run.Calls++
	if run.FirstCall.IsZero() {
		run.FirstCall = c.arrived
	} else if run.Asleep.IsZero() {
		run.Gaps = append(run.Gaps, c.arrived.Sub(run.LastAnswer))
	} else if run.Resumed.IsZero() {
		run.Resumed = c.arrived
	}
	if c.Context.Attempt > 0 || !run.Ended.IsZero() {
		run.Repeated++
	}
}

// gap records that the next step could begin.
func (b *Batch) gap(c call, duration time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	run := &b.runs[c.Event.Data.Run]
	run.Gaps = append(run.Gaps, duration)
}

// leave records an answer.
func (b *Batch) leave(c call, ops []op) {
	b.mu.Lock()
	defer b.mu.Unlock()
	run := &b.runs[c.Event.Data.Run]
	run.LastAnswer = time.Now()
	if len(ops) == 0 {
		return
	}
	switch {
	case (ops[0].Op == "Sleep" || ops[0].Op == "WaitForEvent") && run.Asleep.IsZero():
		run.Asleep = run.LastAnswer
		b.advance(Asleep)
	case ops[0].Op == "RunComplete" && run.Ended.IsZero():
		run.Ended = run.LastAnswer
		b.advance(Ended)
	}
}
