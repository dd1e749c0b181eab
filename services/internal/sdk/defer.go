package sdk

import (
	"encoding/json"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// wireDeferral are the options of the operations that defer a function to the end of the run, or abort that.
type wireDeferral struct {
	Function string          `json:"fn_slug"`
	Input    json.RawMessage `json:"input"`
	Meta     json.RawMessage `json:"meta"`
	// Target is what an abort aborts.
	Target string `json:"target_hashed_id"`
}

// deferAdd reads an operation that defers a function. What cannot be deferred has a Failure: it is recorded as rejected,
// and the run goes on.
func (o *wireOp) deferAdd(op stepwell.Op) stepwell.Op {
	op.Code, op.Kind = stepwell.OpDeferAdd, stepwell.StepDefer
	var opts wireDeferral
	err := json.Unmarshal(o.Opts, &opts)
	if err == nil {
		op.Deferral, err = opts.deferral()
	}
	if err != nil {
		op.Failure = stepwell.Failure{Name: "InvalidDefer", Message: "The function was not deferred: " + err.Error()}.JSON()
	}
	return op
}

// deferral is what is deferred. Errors say what is wrong with it.
func (w wireDeferral) deferral() (*stepwell.Deferral, error) {
	d := &stepwell.Deferral{Function: w.Function}
	if w.Function == "" {
		return nil, stepwell.Invalidf("it names no function")
	}
	var err error
	if d.Input, err = object("input", w.Input); err != nil {
		return nil, err
	}
	if d.Input, err = stepwell.WithoutInternal(d.Input); err != nil {
		return nil, err
	}
	if !absent(w.Meta) {
		if d.Meta, err = object("meta", w.Meta); err != nil {
			return nil, err
		}
	}
	if len(d.Input) > stepwell.DeferBytesMax {
		return nil, stepwell.TooLargef("its input takes %d bytes, at most %d are allowed", len(d.Input), stepwell.DeferBytesMax)
	}
	if len(d.Meta) > stepwell.DeferMetaBytesMax {
		return nil, stepwell.TooLargef("its meta takes %d bytes, at most %d are allowed", len(d.Meta), stepwell.DeferMetaBytesMax)
	}
	return d, nil
}

// deferAbort reads an operation that aborts what was deferred. One that names nothing aborts nothing.
func (o *wireOp) deferAbort(op stepwell.Op) stepwell.Op {
	var opts wireDeferral
	if err := json.Unmarshal(o.Opts, &opts); err != nil || opts.Target == "" || printable(opts.Target) != opts.Target {
		op.Code = stepwell.OpNone
		return op
	}
	op.Code, op.Kind = stepwell.OpDeferAbort, stepwell.StepDeferAbort
	op.Deferral = &stepwell.Deferral{Aborts: stepwell.StepID(opts.Target)}
	return op
}

// appendDefers appends what SDKs are told of the functions that the run defers: an object by step id, which says of each
// whether it can still be aborted.
func appendDefers(body []byte, defers []stepwell.Step) []byte {
	abortable := map[stepwell.StepID]bool{}
	var ids []stepwell.StepID
	for _, record := range defers {
		id, can := record.ID, record.Status == stepwell.StepCompleted
		if record.Kind == stepwell.StepDeferAbort {
			id, can = stepwell.DecodeAbort(record.Result), false
		}
		before, known := abortable[id]
		if !known {
			ids = append(ids, id)
		}
		abortable[id] = can && (before || !known)
	}
	body = append(body, '{')
	for i, id := range ids {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(append(body, stepwell.EncodeJSON(string(id))...), `:{"abortable":`...)
		if abortable[id] {
			body = append(body, "true}"...)
		} else {
			body = append(body, "false}"...)
		}
	}
	return append(body, '}')
}
