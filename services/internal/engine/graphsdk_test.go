package engine_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// graphSDK is how an SDK talks to the server.
type graphSDK struct {
	name    string
	version int
	// checkpoints says that it reports each step that it ran while its call goes on.
	checkpoints bool
	// reportsLosers says that a function that returned before all steps that it found have ended waits for them.
	reportsLosers bool
	// waitsForAll says that its groups know no race, and no failure before all branches have ended.
	waitsForAll bool
	// marksLast says that it tells the server that a failed step had its last attempt.
	marksLast bool
}

func (s graphSDK) String() string {
	text := fmt.Sprintf("%s version %d", s.name, s.version)
	if s.checkpoints {
		text += " with checkpoints"
	}
	return text
}

// graphSDKs are those of JavaScript, with and without checkpoints and coalesced parallel steps, and of Go.
func graphSDKs() []graphSDK {
	return []graphSDK{
		{name: "js:v4", version: 2, checkpoints: true, reportsLosers: true, marksLast: true},
		{name: "js:v4", version: 2, reportsLosers: true, marksLast: true},
		{name: "js:v4", version: 1, checkpoints: true, reportsLosers: true, marksLast: true},
		{name: "js:v3", version: 1, marksLast: true},
		{name: "go:v0.13", version: 2, waitsForAll: true},
		{name: "go:v0.15", version: 2, waitsForAll: true, marksLast: true},
	}
}

// graphMemo is a step's result as the code sees it, at its place among the results.
type graphMemo struct {
	value   string
	failure string
	failed  bool
	at      int
}

// readMemo reads a memo as SDKs do. The value of an event is told in short.
func readMemo(raw json.RawMessage, at int) graphMemo {
	var memo struct {
		Data  json.RawMessage `json:"data"`
		Error *struct {
			Message string `json:"message"`
		} `json:"error"`
		Name string `json:"name"`
	}
	if json.Unmarshal(raw, &memo) != nil {
		return graphMemo{value: string(raw), at: at}
	}
	switch {
	case memo.Error != nil:
		return graphMemo{failed: true, failure: memo.Error.Message, at: at}
	case memo.Name != "":
		var data struct {
			Number int `json:"n"`
		}
		_ = json.Unmarshal(memo.Data, &data)
		return graphMemo{value: quoted(fmt.Sprintf("%s %d", memo.Name, data.Number)), at: at}
	case memo.Data != nil:
		return graphMemo{value: string(memo.Data), at: at}
	}
	return graphMemo{value: "null", at: at}
}

// graphReplay runs a function's code as far as the results that there are allow.
type graphReplay struct {
	sdk     graphSDK
	memos   map[stepwell.StepID]graphMemo
	attempt int
	// ids and indexes tell which steps were met, so that repeated ids become different steps.
	ids     map[stepwell.StepID]bool
	indexes map[string]int
	found   []graphFound
}

// graphFound is a step that the code met and that has no result. at is the place of the result that led to it.
type graphFound struct {
	node    *graphNode
	id      stepwell.StepID
	at      int
	raced   bool
	inGroup bool
}

// graphSpot is where the code is.
type graphSpot struct {
	// prefix makes the ids of branches, and of groups in loops, differ.
	prefix, round string
	raced         bool
	inGroup       bool
}

// graphOutcome is what a part of the code came to, and by which result.
type graphOutcome struct {
	pending   bool
	failed    bool
	retriable bool
	text      string
	at        int
}

func (r *graphReplay) run(program *graphNode) graphOutcome {
	r.ids, r.indexes, r.found = map[stepwell.StepID]bool{}, map[string]int{}, nil
	return r.node(program, 0, graphSpot{})
}

func (r *graphReplay) node(n *graphNode, at int, spot graphSpot) graphOutcome {
	switch n.kind {
	case graphStep, graphSleep, graphWait:
		return r.step(n, at, spot)
	case graphSeq:
		return r.sequence(n.children, at, func(int) graphSpot { return spot })
	case graphLoop:
		return r.sequence(n.unrolled(), at, func(i int) graphSpot {
			inner := spot
			inner.round += fmt.Sprintf("%d.", i)
			return inner
		})
	case graphTry:
		o := r.node(n.children[0], at, spot)
		if o.failed {
			o.failed, o.text = false, fmt.Sprintf(`{"caught":%q}`, o.text)
		}
		return o
	case graphThrow:
		if r.attempt < n.fails {
			return graphOutcome{failed: true, retriable: !n.noRetry, text: n.id + " failed", at: at}
		}
		return graphOutcome{text: "0", at: at}
	case graphAll, graphRace:
		return r.group(n, at, spot)
	}
	return graphOutcome{}
}

func (r *graphReplay) step(n *graphNode, at int, spot graphSpot) graphOutcome {
	id := r.stepID(spot.prefix + n.id)
	memo, known := r.memos[id]
	if !known {
		r.found = append(r.found, graphFound{node: n, id: id, at: at, raced: spot.raced, inGroup: spot.inGroup})
		return graphOutcome{pending: true}
	}
	at = max(at, memo.at)
	if memo.failed {
		return graphOutcome{failed: true, text: memo.failure, at: at}
	}
	return graphOutcome{text: memo.value, at: at}
}

// stepID numbers repeated ids as SDKs do.
func (r *graphReplay) stepID(name string) stepwell.StepID {
	id := sdk.HashStepID(name)
	for i := r.indexes[name]; r.ids[id]; i++ {
		r.indexes[name] = i + 1
		id = sdk.HashStepID(name + ":" + strconv.Itoa(i+1))
	}
	r.ids[id] = true
	return id
}

func (r *graphReplay) sequence(nodes []*graphNode, at int, spot func(int) graphSpot) graphOutcome {
	values := make([]string, len(nodes))
	for i, child := range nodes {
		o := r.node(child, at, spot(i))
		if o.pending || o.failed {
			return o
		}
		values[i], at = o.text, o.at
	}
	return graphOutcome{text: "[" + strings.Join(values, ",") + "]", at: at}
}

func (r *graphReplay) group(n *graphNode, at int, spot graphSpot) graphOutcome {
	inner := graphSpot{inGroup: true, raced: spot.raced || n.raced}
	branches := make([]graphOutcome, len(n.children))
	for i, child := range n.children {
		inner.prefix = spot.prefix + spot.round
		if !n.shared {
			inner.prefix += fmt.Sprintf("%s.%d/", n.id, i)
		}
		branches[i] = r.node(child, at, inner)
	}
	race := n.kind == graphRace && !r.sdk.waitsForAll
	var first *graphOutcome
	all := graphOutcome{at: at}
	values := make([]string, len(branches))
	for i, o := range branches {
		all.pending = all.pending || o.pending
		ends := !o.pending && (race || o.failed)
		if ends && (first == nil || o.at < first.at && !r.sdk.waitsForAll) {
			first = &branches[i]
		}
		values[i], all.at = o.text, max(all.at, o.at)
	}
	switch {
	case first != nil && (!r.sdk.waitsForAll || !all.pending):
		return *first
	case all.pending:
		return graphOutcome{pending: true}
	}
	all.text = "[" + strings.Join(values, ",") + "]"
	return all
}

// graphCall is what the SDK reads of a call.
type graphCall struct {
	Context struct {
		Attempt     int  `json:"attempt"`
		AttemptsMax int  `json:"max_attempts"`
		PlanOnly    bool `json:"disable_immediate_execution"`
		Stack       struct {
			Stack []stepwell.StepID `json:"stack"`
		} `json:"stack"`
	} `json:"ctx"`
	Steps   map[stepwell.StepID]json.RawMessage `json:"steps"`
	Version int                                 `json:"version"`
	target  stepwell.StepID
}

// graphSession is one call, as the app works on it.
type graphSession struct {
	sdk     graphSDK
	program *graphNode
	call    graphCall
	replay  graphReplay
	// run runs a step's body and returns what it yields; clock is the app's.
	run   func(found graphFound) (value string, failed bool)
	clock func() time.Time
}

func newGraphSession(call graphCall, kind graphSDK, program *graphNode) *graphSession {
	s := &graphSession{sdk: kind, program: program, call: call}
	s.replay = graphReplay{sdk: kind, memos: map[stepwell.StepID]graphMemo{}, attempt: call.Context.Attempt}
	for i, id := range call.Context.Stack.Stack {
		s.replay.memos[id] = readMemo(call.Steps[id], i+1)
	}
	return s
}

// next goes on until the SDK has something to say: a checkpoint, or its answer.
func (s *graphSession) next() (checkpoint []byte, answer *sdk.Response) {
	outcome := s.replay.run(s.program)
	switch {
	case outcome.failed:
		return nil, s.reject(outcome)
	case !outcome.pending:
		return nil, s.resolve(outcome)
	}
	run, runs := s.immediate()
	if !runs {
		if s.call.target != "" {
			return nil, s.respond(http.StatusInternalServerError, `{"error":"Could not find step"}`, "false")
		}
		return nil, s.report(s.replay.found)
	}
	value, failed := s.run(run)
	if failed {
		return nil, s.stepFailed(run)
	}
	ops := fmt.Sprintf(`[{"op":"StepRun","id":%q,"displayName":%q,"data":%s,"timing":{"a":%d,"b":0}}]`,
		run.id, run.node.id, value, s.clock().UnixNano())
	if s.checkpointing() && s.call.Context.Attempt == 0 {
		s.replay.memos[run.id] = graphMemo{value: value, at: len(s.replay.memos) + 1}
		return []byte(ops), nil
	}
	return nil, s.respond(http.StatusPartialContent, ops, "")
}

func (s *graphSession) stepFailed(run graphFound) *sdk.Response {
	op, noRetry := "StepError", ""
	switch {
	case s.sdk.marksLast && (run.node.noRetry || s.last()):
		op = "StepFailed"
	case run.node.noRetry:
		noRetry = "true"
	}
	failure := fmt.Sprintf(`{"name":"Error","message":%q,"data":null}`, run.node.id+" failed")
	return s.respond(http.StatusPartialContent,
		fmt.Sprintf(`[{"op":%q,"id":%q,"displayName":%q,"error":%s}]`, op, run.id, run.node.id, failure), noRetry)
}

// immediate is the step that this call runs.
func (s *graphSession) immediate() (graphFound, bool) {
	for _, found := range s.replay.found {
		if found.id == s.call.target {
			return found, true
		}
	}
	if s.call.target != "" || s.call.Context.PlanOnly || len(s.replay.found) != 1 {
		return graphFound{}, false
	}
	found := s.replay.found[0]
	if found.node.kind != graphStep || found.raced || s.sdk.waitsForAll && found.inGroup {
		return graphFound{}, false
	}
	return found, true
}

func (s *graphSession) checkpointing() bool {
	return s.sdk.checkpoints && s.call.target == "" && !s.call.Context.PlanOnly
}

func (s *graphSession) last() bool { return s.call.Context.Attempt+1 >= s.call.Context.AttemptsMax }

// reject answers with the function's failure. That of a step which the code did not catch is final.
func (s *graphSession) reject(outcome graphOutcome) *sdk.Response {
	status, noRetry := http.StatusInternalServerError, "false"
	if !outcome.retriable || s.sdk.marksLast && s.last() {
		status, noRetry = http.StatusBadRequest, "true"
	}
	return s.respond(status, fmt.Sprintf(`{"name":"Error","message":%q}`, outcome.text), noRetry)
}

func (s *graphSession) resolve(outcome graphOutcome) *sdk.Response {
	var losers []graphFound
	for _, found := range s.replay.found {
		if s.sdk.reportsLosers && s.call.target == "" && found.at <= outcome.at {
			losers = append(losers, found)
		}
	}
	if len(losers) > 0 {
		return s.report(losers)
	}
	if s.checkpointing() {
		return s.respond(http.StatusPartialContent,
			fmt.Sprintf(`[{"op":"RunComplete","id":%q,"data":%s}]`, sdk.HashStepID("complete"), outcome.text), "")
	}
	return s.respond(http.StatusOK, outcome.text, "")
}

// report tells of the steps that the code wants.
func (s *graphSession) report(steps []graphFound) *sdk.Response {
	ops := make([]string, len(steps))
	for i, found := range steps {
		n, opts := found.node, map[string]any{}
		op := map[string]any{"id": found.id, "displayName": n.id, "opts": opts}
		if found.raced {
			opts["parallelMode"] = "race"
		}
		delay := strconv.FormatInt(int64(n.delay/time.Second), 10) + "s"
		switch n.kind {
		case graphStep:
			op["op"] = "StepPlanned"
		case graphSleep:
			op["op"], op["name"] = "Sleep", delay
		default:
			op["op"], op["name"], opts["timeout"] = "WaitForEvent", n.event, delay
			if n.number != 0 {
				opts["if"] = fmt.Sprintf("async.data.n == %d", n.number)
			}
		}
		text, _ := json.Marshal(op) //nolint:errchkjson // texts only
		ops[i] = string(text)
	}
	return s.respond(http.StatusPartialContent, "["+strings.Join(ops, ",")+"]", "")
}

func (s *graphSession) respond(status int, body, noRetry string) *sdk.Response {
	header := http.Header{}
	header.Set(sdk.HeaderSDK, s.sdk.name)
	header.Set(sdk.HeaderRequestVersion, strconv.Itoa(s.sdk.version))
	if noRetry != "" {
		header.Set(sdk.HeaderNoRetry, noRetry)
	}
	return &sdk.Response{Status: status, Header: header, Body: []byte(body)}
}
