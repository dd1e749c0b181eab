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
		MaxAttempts int    `json:"max_attempts"`
		PlanOnly    bool   `json:"disable_immediate_execution"`
	} `json:"ctx"`
	Event struct {
		ID string `json:"id"`
	} `json:"event"`
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

// failure has its members in the order in which the server keeps them.
type failure struct {
	Data    any    `json:"data"`
	Message string `json:"message"`
	Name    string `json:"name"`
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
	defer w.crowd(c.function)()
	ops := w.answer(r.Context(), c)
	out.Header().Set("Content-Type", "application/json")
	if len(ops) == 1 && ops[0].Op == "RunComplete" {
		_, broken := c.function.Broken()
		if broken {
			out.Header().Set("X-Inngest-No-Retry", "true")
			out.WriteHeader(http.StatusBadRequest)
		}
		if broken || !c.function.Reports {
			_, _ = out.Write(ops[0].Data) //nolint:gosec // it is JSON, and a server that is gone calls again
			return
		}
	}
	out.WriteHeader(http.StatusPartialContent)
	_ = json.NewEncoder(out).Encode(ops) // a server that is gone calls again
}

// insideFor is how long a call for a function with a Concurrency stays, so that others would meet it.
const insideFor = 20 * time.Millisecond

// crowd counts a call until the function that it returns is called.
func (w *Witness) crowd(f Function) (leave func()) {
	if f.Concurrency == 0 {
		return func() {}
	}
	w.enter(f.ID, 1)
	time.Sleep(insideFor)
	return func() { w.enter(f.ID, -1) }
}

func (w *Witness) enter(function string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inside[function] += n
	w.testimony.Crowds[function] = max(w.testimony.Crowds[function], w.inside[function])
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
		memo, well := step.read(raw)
		if memo == nil || (step.RunsCode() && well == step.Fails) {
			run.complain("step %s, which fails: %t, has the result %s", step.Name, step.Fails, raw)
			continue
		}
		c.memos[step.Name], known[step.Name] = memo, true
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

// read is what a memo says that the step yielded, and whether it ended well.
func (s Step) read(raw json.RawMessage) (result json.RawMessage, well bool) {
	if s.Sleep > 0 || s.Awaits != "" {
		return raw, true
	}
	var memo struct {
		Data  json.RawMessage `json:"data"`
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(raw, &memo) != nil || (memo.Data == nil) == (memo.Error == nil) {
		return nil, false
	}
	if memo.Error != nil {
		return memo.Error, false
	}
	return memo.Data, true
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
			return planned(c, left)
		}
		step := left[0]
		if !step.RunsCode() {
			return []op{plan(c, step)}
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

func planned(c call, steps []Step) []op {
	ops := make([]op, len(steps))
	for i, step := range steps {
		ops[i] = plan(c, step)
	}
	return ops
}

// plan asks the server for a step: to do it, or to say when the app is to run its code.
func plan(c call, step Step) op {
	o := op{Op: "StepPlanned", ID: step.ID(), Name: step.Name, DisplayName: step.Name}
	switch {
	case step.Sleep > 0:
		o.Op, o.Name = "Sleep", step.Sleep.String()
	case step.Invokes != "":
		o.Op = "InvokeFunction"
		o.Opts = encode(map[string]any{
			"function_id": step.Invokes, "payload": map[string]any{"data": map[string]any{}}, "timeout": step.InvokesFor.String(),
		})
	case step.Awaits != "":
		o.Op, o.Name = "WaitForEvent", step.Awaits
		o.Opts = encode(map[string]any{
			"timeout": step.AwaitsFor.String(), "if": "async.data.run == " + strconv.Quote(c.Context.RunID),
		})
	}
	return o
}

func encode(members any) json.RawMessage {
	encoded, err := json.Marshal(members)
	if err != nil {
		panic(err) // they are texts
	}
	return encoded
}

// workMax bounds how long a step's code takes.
const workMax = 40 * time.Millisecond

// spread is a time that depends on a name only.
func spread(name string, most time.Duration) time.Duration {
	hash := fnv.New32a()
	hash.Write([]byte(name))
	return time.Duration(hash.Sum32()) % most
}

// execute runs a step's code, which takes a little while and yields what no other execution does.
func (w *Witness) execute(c call, step Step) op {
	time.Sleep(spread(c.Context.RunID+step.Name, workMax))
	w.mu.Lock()
	defer w.mu.Unlock()
	run := w.run(&c)
	w.publishSoon(run, c, step)
	run.Executions[Execution{step.Name, c.Context.Attempt}]++
	done := op{Op: "StepRun", ID: step.ID(), Name: step.Name, DisplayName: step.Name}
	if step.FailsFirst && c.Context.Attempt == 0 {
		done.Op, done.Error = "StepError", &failure{Name: "Error", Message: "the first attempt fails"}
		return done
	}
	yielded := step.Name + " " + strconv.FormatInt(w.next.Add(1), 10)
	if step.Fails {
		done.Op, done.Error = "StepError", &failure{Name: "Error", Message: yielded}
		if c.Context.Attempt+1 >= c.Context.MaxAttempts {
			done.Op = "StepFailed"
		}
		run.Answers[step.Name] = append(run.Answers[step.Name], string(encode(done.Error)))
		return done
	}
	done.Data = encode(yielded)
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

// Output is what the function results in if its steps have these results: the error of the step that always fails, or
// all of them.
func Output(f Function, result func(step string) string) string {
	if step, broken := f.Broken(); broken {
		return result(step.Name)
	}
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
