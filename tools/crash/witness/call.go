package witness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// call is what the app reads of a call.
type call struct {
	Context struct {
		RunID       string `json:"run_id"`
		FunctionID  string `json:"fn_id"`
		JobID       string `json:"job_id"`
		QueueItemID string `json:"qi_id"`
		Generation  int    `json:"generation_id"`
		Attempt     int    `json:"attempt"`
		PlanOnly    bool   `json:"disable_immediate_execution"`
	} `json:"ctx"`
	Steps map[string]json.RawMessage `json:"steps"`

	function  Function
	target    string
	requestID string
	arrived   time.Time
	// memos are the values of the steps that are done, as far as this call knows.
	memos map[string]json.RawMessage
}

// op is an operation as SDKs report it.
type op struct {
	Op          string          `json:"op"`
	ID          string          `json:"id"`
	Name        string          `json:"name,omitempty"`
	DisplayName string          `json:"displayName,omitempty"`
	Opts        json.RawMessage `json:"opts,omitempty"`
	Data        json.RawMessage `json:"data,omitempty"`
	Error       *failure        `json:"error,omitempty"`
}

type failure struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

// plainTarget is what a call's target is that is to run no particular step.
const plainTarget = "step"

// ServeHTTP answers a call of the server.
func (w *Witness) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	out.Header().Set("X-Inngest-Sdk", sdkHeader)
	out.Header().Set("X-Inngest-Req-Version", "2")
	c, err := readCall(out, r)
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	w.arrive(&c)
	ops := w.answer(r.Context(), c)
	out.Header().Set("Content-Type", "application/json")
	if len(ops) == 1 && ops[0].Op == "RunComplete" && !c.function.Reports {
		_, _ = out.Write(ops[0].Data) //nolint:gosec // it is JSON, and a server that is gone calls again
		return
	}
	out.WriteHeader(http.StatusPartialContent)
	_ = json.NewEncoder(out).Encode(ops) // a server that is gone calls again
}

func readCall(out http.ResponseWriter, r *http.Request) (call, error) {
	c := call{
		arrived: time.Now(), requestID: r.Header.Get("X-Request-Id"), target: r.URL.Query().Get("stepId"),
		memos: map[string]json.RawMessage{},
	}
	body, err := io.ReadAll(http.MaxBytesReader(out, r.Body, bodyBytesMax))
	if err != nil {
		return c, fmt.Errorf("read the call: %w", err)
	}
	if err := json.Unmarshal(body, &c); err != nil {
		return c, fmt.Errorf("the call cannot be read: %w", err)
	}
	name := r.URL.Query().Get("fnId")
	at := slices.IndexFunc(Functions(), func(f Function) bool { return f.ID == name })
	if at < 0 {
		return c, fmt.Errorf("there is no function %q", name)
	}
	c.function = Functions()[at]
	return c, nil
}

// position is the call's place among those without a target, as its job's name `<run>.d<discovery>.<attempt>` tells.
func (c *call) position() (position, bool) {
	rest, isDiscovery := strings.CutPrefix(c.Context.JobID, c.Context.RunID+".d")
	number, attempt, _ := strings.Cut(rest, ".")
	n, err1 := strconv.Atoi(number)
	a, err2 := strconv.Atoi(attempt)
	return position{n, a, c.Context.Generation}, isDiscovery && err1 == nil && err2 == nil
}

// run is what is known of the call's run. w.mu is held.
func (w *Witness) run(c *call) *Run {
	run := w.testimony.Runs[c.Context.RunID]
	if run == nil {
		run = newRun(c.function.ID)
		w.testimony.Runs[c.Context.RunID] = run
	}
	return run
}

// arrive remembers a call and what it tells, and reads that.
func (w *Witness) arrive(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	run := w.run(c)
	run.Calls++
	if run.Function != c.function.ID {
		run.complain("it was first called as %s, then as %s", run.Function, c.function.ID)
	}
	known := map[string]bool{}
	for _, step := range c.function.Steps() {
		raw, told := c.Steps[step.ID()]
		if !told {
			continue
		}
		var memo struct {
			Data json.RawMessage `json:"data"`
		}
		if step.Sleep == 0 && (json.Unmarshal(raw, &memo) != nil || memo.Data == nil) {
			run.complain("step %s, which ends well, has the result %s", step.Name, raw)
			continue
		}
		c.memos[step.Name], known[step.Name] = memo.Data, true
		if step.Sleep > 0 {
			c.memos[step.Name] = raw
		}
		run.told(step.Name, string(c.memos[step.Name]))
		if c.target == step.ID() {
			run.complain("step %s was to be run although the same call tells its result", step.Name)
		}
	}
	if len(known) != len(c.Steps) {
		run.complain("the call tells of steps that the function does not have: %v", c.Steps)
	}
	at, ordered := c.position()
	if !ordered && c.target == plainTarget {
		run.complain("the job %q is no discovery of the run", c.Context.JobID)
	}
	if ordered {
		run.forgotten(at, known)
		for step := range known {
			run.knew(step, at)
		}
	}
}

// answer decides what comes next in a run, as an SDK does.
func (w *Witness) answer(ctx context.Context, c call) []op {
	for _, stage := range c.function.Stages {
		left := slices.DeleteFunc(slices.Clone(stage), func(s Step) bool { return c.memos[s.Name] != nil })
		if len(left) == 0 {
			continue
		}
		if at := slices.IndexFunc(left, func(s Step) bool { return s.ID() == c.target }); at >= 0 {
			return []op{w.execute(c, left[at])}
		}
		if len(stage) > 1 || c.Context.PlanOnly {
			return planned(left)
		}
		step := left[0]
		if step.Sleep > 0 {
			return []op{{Op: "Sleep", ID: step.ID(), Name: step.Sleep.String(), DisplayName: step.Name}}
		}
		done := w.execute(c, step)
		// A call that is not a first attempt gets its step as the answer, as SDKs do it.
		if !c.function.Reports || c.Context.Attempt > 0 || done.Op != "StepRun" || !w.report(ctx, c, step, done) {
			return []op{done}
		}
		c.memos[step.Name] = done.Data
	}
	return []op{w.complete(c)}
}

func planned(steps []Step) []op {
	ops := make([]op, len(steps))
	for i, step := range steps {
		ops[i] = op{Op: "StepPlanned", ID: step.ID(), Name: step.Name, DisplayName: step.Name}
	}
	return ops
}

// workMax bounds how long a step's code takes.
const workMax = 40 * time.Millisecond

// execute runs a step's code, which takes a little while and yields what no other execution does.
func (w *Witness) execute(c call, step Step) op {
	hash := fnv.New32a()
	hash.Write([]byte(c.Context.RunID + step.Name))
	time.Sleep(time.Duration(hash.Sum32()) % workMax)
	w.mu.Lock()
	defer w.mu.Unlock()
	run := w.run(&c)
	run.Executions[Execution{step.Name, c.Context.Attempt}]++
	done := op{Op: "StepRun", ID: step.ID(), Name: step.Name, DisplayName: step.Name}
	if step.FailsFirst && c.Context.Attempt == 0 {
		done.Op, done.Error = "StepError", &failure{Name: "Error", Message: "the first attempt fails"}
		return done
	}
	done.Data = json.RawMessage(strconv.Quote(step.Name + " " + strconv.FormatInt(w.next.Add(1), 10)))
	run.Answers[step.Name] = append(run.Answers[step.Name], string(done.Data))
	return done
}

// complete is the function's result: those of its steps.
func (w *Witness) complete(c call) op {
	output := Output(c.function, func(step string) string { return string(c.memos[step]) })
	w.mu.Lock()
	defer w.mu.Unlock()
	run := w.run(&c)
	run.Outputs = with(run.Outputs, output)
	return op{Op: "RunComplete", ID: Step{Name: "complete"}.ID(), Data: json.RawMessage(output)}
}

// Output is what the function results in if its steps have these results.
func Output(f Function, result func(step string) string) string {
	var b bytes.Buffer
	for i, step := range f.Steps() {
		b.WriteByte("[,"[min(i, 1)])
		b.WriteString(result(step.Name))
	}
	b.WriteByte(']')
	return b.String()
}

// reportsMax bounds how often a step is reported that the server does not accept.
const reportsMax = 3

// report reports a step while the call goes on. It returns whether the server accepted it.
func (w *Witness) report(ctx context.Context, c call, step Step, done op) bool {
	body := map[string]any{
		"run_id": c.Context.RunID, "fn_id": c.Context.FunctionID, "qi_id": c.Context.QueueItemID,
		"request_id": c.requestID, "generation_id": c.Context.Generation, "request_started_at": c.arrived.UnixMilli(),
		"ts": time.Now().UnixMilli(), "steps": []op{done},
	}
	for range reportsMax {
		status, err := w.send(ctx, w.anyDoor()+"/v1/checkpoint/"+c.Context.RunID+"/async", body)
		if err == nil && status == http.StatusOK {
			w.accepted(c, step, done)
			return true
		}
		if err == nil && status == http.StatusConflict {
			return false // the call is another's by now
		}
	}
	return false
}

// accepted remembers that the server took a result, which it thereby told.
func (w *Witness) accepted(c call, step Step, done op) {
	w.mu.Lock()
	defer w.mu.Unlock()
	run := w.run(&c)
	run.told(step.Name, string(done.Data))
	if at, ordered := c.position(); ordered {
		run.knew(step.Name, at)
	}
}
