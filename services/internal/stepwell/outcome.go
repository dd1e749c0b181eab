package stepwell

import (
	"encoding/json"
	"time"
)

// Outcome is what one call to an app came to: a failure, the function's result, or operations. No operations at all is
// an answer too: nothing to do yet.
type Outcome struct {
	// Failure is set when the call, or the function's body, failed: a Failure as JSON. Ops may then tell of steps that
	// ran before.
	Failure json.RawMessage
	// Unreached is set instead of Failure if nobody answered for the app: nothing is there, or a proxy in front of it says
	// so. That is not the function's fault.
	Unreached *Failure
	// Finished says that the function returned Output.
	Finished bool
	Output   json.RawMessage
	// Ops are what the app's code ran, or wants.
	Ops []Op
	// NoRetry says that trying again cannot help.
	NoRetry bool
	// RetryAt is when the app wants to be tried again; zero if it did not say.
	RetryAt time.Time
	// RequestVersion is the protocol version of the app's SDK; 0 if it did not say.
	RequestVersion int
	// HTTPStatus is the answer's status; 0 if there was no answer.
	HTTPStatus int
}

// OpCode is a kind of Op.
type OpCode int

// The codes that have a meaning here.
const (
	// OpNone asks for nothing.
	OpNone OpCode = iota
	// OpStepRun: a step ran and yielded Data.
	OpStepRun
	// OpStepError: a step failed and may be tried again.
	OpStepError
	// OpStepFailed: a step failed for good.
	OpStepFailed
	// OpStepPlanned: a step was found; it wants a call of its own.
	OpStepPlanned
	// OpSleep: the run sleeps until DueAt.
	OpSleep
	// OpWaitForEvent: the run waits for an event, as Wait says, until DueAt.
	OpWaitForEvent
	// OpWaitForSignal: the run waits for a signal, as Wait says, until DueAt.
	OpWaitForSignal
	// OpInvoke: the run starts another, as Invocation says, and waits for its end until DueAt.
	OpInvoke
	// OpRunComplete: the function returned Data.
	OpRunComplete
	// OpDiscoveryRequest: the app wants to be called again.
	OpDiscoveryRequest
	// OpFetch: a step wants the server to make its Request. Whoever called the app does so, and puts what came of it in
	// the operation's place: an OpStepRun, OpStepError or OpStepFailed.
	OpFetch
	// OpDeferAdd: a function is to run when the run has ended, as Deferral says; Failure says why it cannot.
	OpDeferAdd
	// OpDeferAbort: what an OpDeferAdd asked for is not to run after all, as Deferral says.
	OpDeferAbort
	// OpUnsupported: this version of the server does not know the operation called Code.
	OpUnsupported
)

// Op is one operation that an app's SDK reports.
type Op struct {
	Code OpCode
	// Opcode is the operation as the SDK spelled it.
	Opcode string
	Step   StepID
	// Name is what the author called the step.
	Name string
	// Kind is what the step does, for operations that tell or fetch its result.
	Kind StepKind
	// Data is the value of OpStepRun and OpRunComplete.
	Data json.RawMessage
	// Failure is the error of OpStepError and OpStepFailed: a Failure as JSON.
	Failure json.RawMessage
	// StartedAt and EndedAt are when the step's code ran, as the SDK measured; zero if it did not.
	StartedAt time.Time
	EndedAt   time.Time
	// DueAt is when a sleep ends, or a wait without what it waits for.
	DueAt time.Time
	// Wait is what a wait waits for: its Name and Expression as the SDK says, and what was made of the expression.
	Wait *Wait
	// Invocation is what OpInvoke starts.
	Invocation *Invocation
	// Deferral is what OpDeferAdd defers, or OpDeferAbort aborts.
	Deferral *Deferral
	// Race says that the step takes part in a race: its end must be seen although others are open.
	Race bool
	// RetryAt is when OpStepError wants to be tried again; zero if it did not say.
	RetryAt time.Time
	// Request is what OpFetch asks for.
	Request *Request
}

// Invocation is the start of a function by a step.
type Invocation struct {
	// Function is the slug of what is invoked.
	Function string
	// Data, User, Meta and Version are those of the event that starts it. Data and User are JSON objects.
	Data    json.RawMessage
	User    json.RawMessage
	Meta    json.RawMessage
	Version string
}

// Request is an HTTP request that the server makes for a step.
type Request struct {
	Method string
	URL    string
	Header map[string]string
	Body   []byte
	// Secret is the key that the request holds, which no error may tell; empty if there is none.
	Secret string
}
