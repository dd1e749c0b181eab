package kitchensink

import (
	"context"
	"errors"
	"time"

	"github.com/inngest/inngestgo"
)

// app defines the functions. They are the same, by name and behaviour, in every SDK: see ../README.md.
type app struct {
	client  inngestgo.Client
	race    Group
	without string // the function that is left out
	book    *book
	gates   *gates
	err     error
}

// data is an event's data.
type data = map[string]any

// call is one call of a function: by the first event or again.
type call struct {
	event   inngestgo.GenericEvent[data]
	events  []inngestgo.GenericEvent[data]
	run     string
	attempt int
	// ran notes that a body ran: the function's own, or a step's.
	ran func(body string)
}

// milliseconds is a member of the event's data.
func (c call) milliseconds() float64 {
	number, _ := c.event.Data["milliseconds"].(float64)
	return number
}

// text is a member of the event's data.
func (c call) text(name string) string {
	text, _ := c.event.Data[name].(string)
	return text
}

// timeout is a member of the event's data, and 0 if it is not there.
func (c call) timeout() (time.Duration, error) {
	text := c.text("timeout")
	if text == "" {
		return 0, nil
	}
	return time.ParseDuration(text)
}

// gate is the gate that the event names.
func (c call) gate() string { return c.text("gate") }

// eventTriggers are the events that start a function.
func eventTriggers(names ...string) inngestgo.MultipleTriggers {
	var triggers inngestgo.MultipleTriggers
	for _, name := range names {
		triggers = append(triggers, inngestgo.EventTrigger(name, nil))
	}
	return triggers
}

// define adds a function that the event e2e/ID starts. retries is -1 for the SDK's default.
func (a *app) define(id string, retries int, body func(context.Context, call) (any, error)) {
	a.defineOn(id, retries, eventTriggers("e2e/"+id), body)
}

const retriesDefault = -1

func (a *app) defineOn(
	id string, retries int, triggers inngestgo.MultipleTriggers, body func(context.Context, call) (any, error),
) {
	options := inngestgo.FunctionOpts{ID: id}
	if retries != retriesDefault {
		options.Retries = inngestgo.IntPtr(retries)
	}
	a.defineWith(options, triggers, body)
}

func (a *app) defineWith(
	options inngestgo.FunctionOpts, triggers inngestgo.MultipleTriggers, body func(context.Context, call) (any, error),
) {
	if options.ID == a.without {
		return
	}
	_, err := inngestgo.CreateFunction(a.client, options, triggers,
		func(ctx context.Context, input inngestgo.Input[data]) (any, error) {
			c := call{event: input.Event, events: input.Events, run: input.InputCtx.RunID, attempt: input.InputCtx.Attempt}
			c.ran = func(body string) { a.book.add(input.InputCtx.RunID, body, c.attempt) }
			c.ran("function")
			return body(ctx, c)
		})
	a.err = errors.Join(a.err, err)
}
