package stepwell

import "encoding/json"

// The bounds of what a run defers (docs/limits.md). What is beyond them is not deferred; the run goes on.
const (
	// DefersMax bounds the functions that a run defers.
	DefersMax = 20
	// DeferBytesMax bounds the inputs of all of them together.
	DeferBytesMax = 4 << 20
	// DeferMetaBytesMax bounds Deferral.Meta.
	DeferMetaBytesMax = 32 << 10

	// deferRecordsMax bounds the records of what is deferred, and of what of it is not to run after all.
	deferRecordsMax = 2 * DefersMax
)

// Deferral is a function that is to run when the run has ended.
type Deferral struct {
	// Function is its slug.
	Function string
	// Input is a JSON object.
	Input json.RawMessage
	// Meta is a JSON object or empty: the meta of the event that starts the function.
	Meta json.RawMessage
	// Aborts is set for an abort, and nothing else: the deferral that is not to run.
	Aborts StepID
}

// EncodeDeferral is a deferral as the result of its step.
func EncodeDeferral(d Deferral) Result {
	data := append([]byte(`{"function":`), EncodeJSON(d.Function)...)
	if len(d.Meta) > 0 {
		data = append(append(data, `,"meta":`...), d.Meta...)
	}
	data = append(append(data, `,"input":`...), d.Input...)
	return Result{Kind: ResultBare, JSON: append(data, '}')}
}

// DecodeDeferral reads what EncodeDeferral wrote.
func DecodeDeferral(r Result) Deferral {
	var d struct {
		Function string          `json:"function"`
		Meta     json.RawMessage `json:"meta"`
		Input    json.RawMessage `json:"input"`
	}
	if err := json.Unmarshal(r.JSON, &d); err != nil {
		panic("a recorded deferral cannot be read: " + err.Error()) // we wrote it, and it never changes (I10)
	}
	return Deferral{Function: d.Function, Meta: d.Meta, Input: d.Input}
}

// EncodeAbort is an abort as the result of its step: the step that deferred the function.
func EncodeAbort(target StepID) Result {
	return Result{Kind: ResultBare, JSON: EncodeJSON(string(target))}
}

// DecodeAbort reads what EncodeAbort wrote.
func DecodeAbort(r Result) StepID {
	var target StepID
	if err := json.Unmarshal(r.JSON, &target); err != nil {
		panic("a recorded abort cannot be read: " + err.Error()) // I10
	}
	return target
}

// Defers tells whether the step is about a function that is deferred.
func (k StepKind) Defers() bool { return k == StepDefer || k == StepDeferAbort }

// Defer counts a record of a deferral, or of its abort. It returns the record as it is kept: rejected if the inputs of
// all are beyond their bound. ok is false if it is not kept, since there are too many.
func (p *Progress) Defer(step Step) (_ Step, ok bool) {
	if p.DeferCount >= deferRecordsMax {
		return step, false
	}
	n := len(step.Result.JSON)
	if step.Status == StepCompleted && p.DeferBytes+n > DeferBytesMax {
		step.Status = StepFailed
		step.Result = Result{Kind: ResultError, JSON: Failure{
			Name: "defer_too_large", Message: "The inputs of all deferred functions of the run take too many bytes",
		}.JSON()}
		n = 0
	}
	p.DeferCount++
	p.DeferBytes += n
	step.Order = p.DeferCount
	return step, true
}
