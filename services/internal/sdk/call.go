package sdk

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

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
	context, err := json.Marshal(c.context())
	if err != nil {
		return nil, fmt.Errorf("encode context: %w", err)
	}
	events := c.State.Events
	size := len(context) + 256
	for _, event := range events {
		size += 2*(len(event.Data)+len(event.User)) + 256
	}
	for _, step := range c.State.Steps {
		size += len(step.Result.JSON) + 64
	}
	body := make([]byte, 0, size)
	body = append(body, `{"ctx":`...)
	body = append(body, context...)
	body = append(body, `,"defers":{},"event":`...)
	body = AppendEvent(body, events[0])
	body = append(body, `,"events":[`...)
	for i, event := range events {
		if i > 0 {
			body = append(body, ',')
		}
		body = AppendEvent(body, event)
	}
	body = append(body, `],"steps":{`...)
	for i, step := range c.State.Steps {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, quote(string(step.ID))...)
		body = append(body, ':')
		body = step.Result.AppendMemo(body)
	}
	body = append(body, `},"use_api":false,"version":`...)
	body = strconv.AppendInt(body, int64(c.State.Run.Progress.RequestVersion), 10)
	return append(body, '}'), nil
}

func (c Call) context() callContext {
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
		QueueItemID:               EncodeItemID(c.Item.ID),
		RequestID:                 c.requestID(),
		RunID:                     c.State.Run.ID.String(),
		Stack:                     callStack{Current: len(stack), Stack: stack},
		StepID:                    plainStep,
	}
}

// EncodeItemID is an item's id as SDKs carry it back to us: opaque to them.
func EncodeItemID(id stepwell.ItemID) string {
	return base64.RawURLEncoding.EncodeToString([]byte(id))
}

// DecodeItemID reads what EncodeItemID wrote.
func DecodeItemID(text string) (stepwell.ItemID, error) {
	id, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || stepwell.ItemID(id).Run() == (stepwell.RunID{}) {
		return "", stepwell.Invalidf("qi_id %q was not given out by this server", text)
	}
	return stepwell.ItemID(id), nil
}

// AppendEvent appends the event as functions see it, its members in the order of their names.
func AppendEvent(body []byte, event stepwell.Event) []byte {
	body = append(body, `{"data":`...)
	body = append(body, event.Data...)
	body = append(body, `,"id":`...)
	body = append(body, quote(event.PublicID())...)
	if len(event.Meta) > 0 {
		body = append(body, `,"meta":`...)
		body = append(body, event.Meta...)
	}
	body = append(body, `,"name":`...)
	body = append(body, quote(event.Name)...)
	body = append(body, `,"ts":`...)
	body = strconv.AppendInt(body, event.Time.UnixMilli(), 10)
	body = append(body, `,"user":`...)
	body = append(body, event.User...)
	if event.Version != "" {
		body = append(body, `,"v":`...)
		body = append(body, quote(event.Version)...)
	}
	return append(body, '}')
}
