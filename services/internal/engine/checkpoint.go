package engine

import (
	"fmt"
	"time"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Checkpoint is what an app's report of steps changes while the item's call goes on. Steps that ran are recorded; the item
// stays open, since the call goes on. Errors: stepwell.ErrInvalid for operations that only the answer to the call may hold,
// stepwell.ErrTooLarge for a result beyond its bound.
func Checkpoint(item stepwell.ItemID, ops []stepwell.Op, now time.Time) (stepwell.Transition, error) {
	d := decision{
		Call: Call{StartedAt: now, EndedAt: now},
		out:  stepwell.Transition{Run: item.Run(), Settles: item, Keep: true, At: now},
	}
	for _, op := range ops {
		if err := d.checkpoint(op); err != nil {
			return stepwell.Transition{}, err
		}
	}
	if problem := d.exceeded(); problem != nil {
		return stepwell.Transition{}, stepwell.TooLargef("%s", problem.Message)
	}
	return d.out, nil
}

// checkpoint applies one operation of a report, whose texts of refusal SDKs know.
func (d *decision) checkpoint(op stepwell.Op) error {
	switch op.Code {
	case stepwell.OpStepRun:
		d.apply(op)
	case stepwell.OpDeferAdd, stepwell.OpDeferAbort:
		d.deferral(op)
	case stepwell.OpNone, stepwell.OpStepPlanned:
		// The step begins; or there is nothing to do.
	case stepwell.OpRunComplete, stepwell.OpStepFailed, stepwell.OpUnsupported:
		return stepwell.Invalidf("cannot checkpoint opcode: %s", op.Opcode)
	default:
		return stepwell.Invalidf("cannot checkpoint async steps: %s", op.Opcode)
	}
	return nil
}

// unsupported is why a run fails whose app asks for what is not there.
func unsupported(op stepwell.Op) stepwell.Failure {
	return stepwell.Failure{
		Name: "unsupported_operation",
		Message: fmt.Sprintf("Step %q: the app's SDK asked for the operation %q, which this version of Stepwell does not know",
			op.Name, op.Opcode),
	}
}
