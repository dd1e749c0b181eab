package sdk

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// plainStep is the target of a call that runs no particular step.
const plainStep = "step"

// Call is one request to an app.
type Call struct {
	State stepwell.RunState
	Item  stepwell.Item
	// Generation is the lease under which the call is made; checkpoints name it.
	Generation int
}

func (c Call) requestID() string { return stepwell.NewRequestID(c.Item.ID, c.Generation).String() }

// URL is where the call goes: the function's URL with the target in its query.
func (c Call) URL() (string, error) {
	target, err := url.Parse(c.State.Function.URL)
	if err != nil || target.Host == "" {
		return "", stepwell.Invalidf("function %s: %q is not a URL", c.State.Function.Slug, c.State.Function.URL)
	}
	query := target.Query()
	query.Set("stepId", c.target())
	target.RawQuery = query.Encode()
	return target.String(), nil
}

func (c Call) target() string {
	if c.Item.Kind == stepwell.ItemStep {
		return string(c.Item.Step)
	}
	return plainStep
}

// Header are the call's headers.
func (c Call) Header() http.Header {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "Stepwell")
	header.Set(HeaderRunID, c.State.Run.ID.String())
	header.Set(HeaderRequestID, c.requestID())
	header.Set(HeaderGenerationID, strconv.Itoa(c.Generation))
	header.Set(HeaderJobID, string(c.Item.ID))
	header.Set(HeaderStepID, c.target())
	header.Set(HeaderRequestVersion, strconv.Itoa(c.State.Run.Progress.RequestVersion))
	return header
}

// callContext is the body's `ctx`. Members are in the order of their names, here and in callBody, so that the whole
// body is in the canonical form that signatures are over, as far as it is ours.
type callContext struct {
	Attempt                   int       `json:"attempt"`
	DisableImmediateExecution bool      `json:"disable_immediate_execution"`
	Env                       string    `json:"env"`
	FunctionID                string    `json:"fn_id"`
	GenerationID              int       `json:"generation_id"`
	JobID                     string    `json:"job_id"`
	AttemptsMax               int       `json:"max_attempts"`
	QueueItemID               string    `json:"qi_id"`
	RequestID                 string    `json:"request_id"`
	RunID                     string    `json:"run_id"`
	Stack                     callStack `json:"stack"`
	StepID                    string    `json:"step_id"`
	UseAPI                    bool      `json:"use_api"`
}

type callStack struct {
	Current int               `json:"current"`
	Stack   []stepwell.StepID `json:"stack"`
}

// Body is the call's body, assembled from the bytes that are stored.
func (c Call) Body() ([]byte, error) {
	content := c.content()
	context, err := json.Marshal(c.context(content.useAPI))
	if err != nil {
		return nil, fmt.Errorf("encode context: %w", err)
	}
	body := make([]byte, 0, content.size)
	body = append(body, `{"ctx":`...)
	body = append(body, context...)
	body = append(body, `,"defers":`...)
	body = appendDefers(body, c.State.Defers)
	body = append(body, `,"event":`...)
	body = c.State.Events[0].AppendJSON(body)
	body = append(body, `,"events":`...)
	body = stepwell.AppendEventsJSON(body, content.events)
	body = append(body, `,"steps":`...)
	body = AppendMemos(body, content.steps)
	body = append(body, `,"use_api":`...)
	body = strconv.AppendBool(body, content.useAPI)
	body = append(body, `,"version":`...)
	body = strconv.AppendInt(body, int64(c.State.Run.Progress.RequestVersion), 10)
	return append(body, '}'), nil
}

// content is what a call tells of its run besides the context.
type content struct {
	events []stepwell.Event
	steps  []stepwell.Step
	// useAPI says that events or steps are left out, and that the app is to ask for them.
	useAPI bool
	// size is how many bytes the body takes, or somewhat more.
	size int
}

// content leaves out what makes the call larger than CallBytesMax, if the app's SDK knows how to ask for it. Go's does
// not: it reads `use_api` and does nothing about it, so that without its memos it would run all steps again. It gets
// everything in the call, however large; so does an SDK that nobody knows.
//
// So does a call beside which another of the run's items is open: its step may be recorded before the app asks, and an SDK
// that is told of a step that is not on the call's stack never answers (JS v3, whose parallel steps go on one by one).
func (c Call) content() content {
	const (
		contextBytes = 1 << 10 // without the stack, below
		eventBytes   = 256     // an event's members besides its data
		memoBytes    = 64      // a memo's besides the result
		stackBytes   = 48      // a step's id in the stack
	)
	first, events, steps := 0, 0, 0
	for i, event := range c.State.Events {
		size := len(event.Data) + len(event.User) + eventBytes
		events += size
		if i == 0 {
			first = contextBytes + size
		}
	}
	first += stackBytes * len(c.State.Defers)
	for _, step := range c.State.Steps {
		first += stackBytes
		steps += len(step.Result.JSON) + memoBytes
	}
	all := content{events: c.State.Events, steps: c.State.Steps, size: first + events + steps}
	asks := strings.HasPrefix(c.State.App.SDK, "js:") || strings.HasPrefix(c.State.App.SDK, "py:")
	alone := len(c.State.Run.Progress.Open) <= 1
	switch {
	case all.size <= CallBytesMax || !asks || !alone:
		return all
	case first+events <= CallBytesMax:
		return content{useAPI: true, events: c.State.Events, size: first + events}
	}
	return content{useAPI: true, size: first}
}

func (c Call) context(useAPI bool) callContext {
	stack := make([]stepwell.StepID, len(c.State.Steps))
	for i, step := range c.State.Steps {
		stack[i] = step.ID
	}
	return callContext{
		Attempt:                   c.Item.CountedAttempt(),
		DisableImmediateExecution: len(c.State.Run.Progress.Open) > 1,
		FunctionID:                c.State.Function.ID.String(),
		GenerationID:              c.Generation,
		JobID:                     string(c.Item.ID),
		AttemptsMax:               c.State.Function.AttemptsMax(),
		QueueItemID:               EncodeLease(c.Item.ID, c.Generation),
		RequestID:                 c.requestID(),
		RunID:                     c.State.Run.ID.String(),
		Stack:                     callStack{Current: len(stack), Stack: stack},
		StepID:                    plainStep,
		UseAPI:                    useAPI,
	}
}

// EncodeLease names an item and the lease under which it is worked on, as SDKs carry it back to us: opaque to them. Not all
// of them send the generation of a call back on its own, so that it is in here.
func EncodeLease(id stepwell.ItemID, generation int) string {
	return base64.RawURLEncoding.EncodeToString([]byte(string(id) + "#" + strconv.Itoa(generation)))
}

// DecodeLease reads what EncodeLease wrote. The generation is 0 if the release before this one wrote it.
func DecodeLease(text string) (id stepwell.ItemID, generation int, _ error) {
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	at := bytes.LastIndexByte(decoded, '#')
	id = stepwell.ItemID(decoded)
	if err == nil && at >= 0 {
		id = stepwell.ItemID(decoded[:at])
		generation, err = strconv.Atoi(string(decoded[at+1:]))
	}
	if err != nil || id.Run() == (stepwell.RunID{}) {
		return "", 0, stepwell.Invalidf("qi_id %q was not given out by this server", text)
	}
	return id, generation, nil
}

// AppendMemos appends the recorded steps as functions see them: an object, in the order in which they were recorded.
func AppendMemos(body []byte, steps []stepwell.Step) []byte {
	body = append(body, '{')
	for i, step := range steps {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, stepwell.EncodeJSON(string(step.ID))...)
		body = append(body, ':')
		body = step.Result.AppendMemo(body)
	}
	return append(body, '}')
}
