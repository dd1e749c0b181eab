package sdk

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // SDKs name steps by SHA-1
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// wireOp is an operation as SDKs write it.
type wireOp struct {
	Op          string          `json:"op"`
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	DisplayName *string         `json:"displayName"`
	Opts        json.RawMessage `json:"opts"`
	Data        json.RawMessage `json:"data"`
	Error       json.RawMessage `json:"error"`
	Timing      *wireTiming     `json:"timing"`
	Userland    struct {
		ID string `json:"id"`
	} `json:"userland"`
}

// wireTiming is when a step's code ran.
type wireTiming struct {
	// StartUnixNano and DurationNano are nanoseconds; Go sends zeros.
	StartUnixNano int64 `json:"a"`
	DurationNano  int64 `json:"b"`
}

// wireOpts are the options that have a meaning here.
type wireOpts struct {
	ParallelMode string `json:"parallelMode"`
	Duration     string `json:"duration"`
	// Event, If and Timeout are of a wait. JS and Python say the event as the operation's name.
	Event   string `json:"event"`
	If      string `json:"if"`
	Timeout string `json:"timeout"`
	// Signal and Conflict are of a wait for a signal.
	Signal   string `json:"signal"`
	Conflict string `json:"conflict"`
}

// parseOps reads a 206. The function's own end or failure among the ops becomes the outcome's.
func parseOps(response Response, now time.Time) stepwell.Outcome {
	ops, err := decodeOps(response.Body, now)
	if err != nil {
		outcome := failure(response.Status, "invalid_response", "error reading generator opcode response: %v", err)
		outcome.NoRetry = errors.Is(err, stepwell.ErrTooLarge) // the same code would answer the same
		return outcome
	}
	return outcomeOf(ops)
}

// ParseOps reads the operations of a checkpoint.
func ParseOps(body []byte, now time.Time) ([]stepwell.Op, error) {
	return decodeOps(body, now)
}

func decodeOps(body []byte, now time.Time) ([]stepwell.Op, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil, stepwell.Invalidf("the body is empty")
	}
	if body[0] == '{' {
		body = append(append([]byte{'['}, body...), ']')
	}
	var raw []*wireOp
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, fmt.Errorf("%w (%d bytes)", err, len(body))
	}
	if len(raw) > OpsMax {
		return nil, stepwell.TooLargef("%d operations in one response, at most %d are allowed", len(raw), OpsMax)
	}
	ops := make([]stepwell.Op, len(raw))
	for i, op := range raw {
		if op == nil {
			return nil, stepwell.Invalidf("operation %d is null", i)
		}
		parsed, err := op.parse(now)
		if err != nil {
			return nil, fmt.Errorf("operation %d (%s %q): %w", i, op.Op, op.name(), err)
		}
		ops[i] = parsed
	}
	return ops, nil
}

// runStepID is the step id by which SDKs report the function itself.
func runStepID() stepwell.StepID { return HashStepID("complete") }

// HashStepID is the id on the wire of a step's first use.
func HashStepID(name string) stepwell.StepID {
	sum := sha1.Sum([]byte(name)) //nolint:gosec // see above
	return stepwell.StepID(hex.EncodeToString(sum[:]))
}

// outcomeOf finds the function's own failure among the ops: SDKs report it as an error of the step `complete`.
func outcomeOf(ops []stepwell.Op) stepwell.Outcome {
	for i, op := range ops {
		isError := op.Code == stepwell.OpStepError || op.Code == stepwell.OpStepFailed
		if isError && op.Step == runStepID() {
			rest := append(ops[:i:i], ops[i+1:]...)
			return stepwell.Outcome{Ops: rest, Failure: op.Failure, NoRetry: op.Code == stepwell.OpStepFailed}
		}
	}
	return stepwell.Outcome{Ops: ops}
}

func (o *wireOp) name() string {
	switch {
	case o.DisplayName != nil && *o.DisplayName != "":
		return *o.DisplayName
	case o.Userland.ID != "":
		return o.Userland.ID
	case o.Name != "":
		return o.Name
	}
	return o.ID
}

func (o *wireOp) parse(now time.Time) (stepwell.Op, error) {
	op := stepwell.Op{Opcode: o.Op, Step: stepwell.StepID(o.ID), Name: printable(o.name())}
	if printable(o.ID) != o.ID {
		return op, stepwell.Invalidf("its id holds control characters")
	}
	if o.Timing != nil && o.Timing.StartUnixNano > 0 {
		op.StartedAt = time.Unix(0, o.Timing.StartUnixNano).UTC()
		op.EndedAt = op.StartedAt.Add(time.Duration(max(0, o.Timing.DurationNano)))
	}
	var opts wireOpts
	// Options of other operations may have other forms; they are not ours to judge.
	_ = json.Unmarshal(o.Opts, &opts)
	op.Race = strings.EqualFold(opts.ParallelMode, "race") // JS writes it small, Go with a capital
	var err error
	switch o.Op {
	case "None", "":
		op.Code = stepwell.OpNone
	case "Step", "StepRun":
		op.Code, op.Data = stepwell.OpStepRun, orNull(o.Data)
	case "StepError":
		op.Code, op.Failure = stepwell.OpStepError, normalizeFailure(o.Error, stepFailure)
	case "StepFailed":
		op.Code, op.Failure = stepwell.OpStepFailed, normalizeFailure(o.Error, stepFailure)
	case "StepPlanned":
		op.Code = stepwell.OpStepPlanned
	case "Sleep":
		op.Code = stepwell.OpSleep
		op.DueAt, err = o.sleepEnd(opts, now)
	case "Gateway":
		op = o.fetch(op, stepwell.StepFetch)
	case "AIGateway", "AiGateway":
		op = o.fetch(op, stepwell.StepInfer)
	case "WaitForEvent":
		op.Code = stepwell.OpWaitForEvent
		op.Wait, op.DueAt, err = o.waitForEvent(opts, now)
	case "WaitForSignal":
		op.Code = stepwell.OpWaitForSignal
		op.Wait, op.DueAt, err = o.waitForSignal(opts, now)
	case "InvokeFunction":
		op, err = o.invoke(op, now)
	case "RunComplete":
		op.Code, op.Data = stepwell.OpRunComplete, orNull(o.Data)
	case "DiscoveryRequest":
		op.Code = stepwell.OpDiscoveryRequest
	case "DeferAdd":
		op = o.deferAdd(op)
	case "DeferAbort":
		op = o.deferAbort(op)
	default:
		op.Code = stepwell.OpUnsupported
	}
	if op.Step == "" && op.Code != stepwell.OpNone && op.Code != stepwell.OpUnsupported {
		return op, stepwell.Invalidf("it has no id")
	}
	return op, err
}

// printable is the text without control characters, which no store need keep.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
}

// sleepEnd is when the sleep ends: Go says a duration in its options, others a duration or date as the name.
func (o *wireOp) sleepEnd(opts wireOpts, now time.Time) (time.Time, error) {
	text := opts.Duration
	if text == "" {
		text = o.Name
	}
	if text == "" {
		return now, nil // JS v3 drops what is below a second
	}
	due, err := parseDue(text, now)
	if err != nil {
		return time.Time{}, fmt.Errorf("sleep: %w", err)
	}
	if due.Sub(now) > SleepMax {
		return time.Time{}, stepwell.TooLargef("sleep until %s: a sleep may last at most 366 days",
			due.UTC().Format(time.RFC3339))
	}
	return due, nil
}

func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}
