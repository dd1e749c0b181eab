package executor

import (
	"sync"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// prepareWaits compiles the expressions of waits: by what they compare for equality events find them without looking at
// each. One that cannot be compiled is the function's fault.
func (s *Service) prepareWaits(state stepwell.RunState, ops []stepwell.Op) {
	trigger := sync.OnceValue(func() map[string]any { return state.Events[0].Variables() })
	for i, op := range ops {
		if op.Code != stepwell.OpWaitForEvent {
			continue
		}
		if err := s.expressions.Index(op.Wait, trigger); err != nil {
			ops[i].Failure = stepwell.Failure{
				Name: "InvalidExpression", Message: "Wait for event If expression failed to compile: " + err.Error(),
			}.JSON()
		}
	}
}
