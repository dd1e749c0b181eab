package runner

import (
	"sync"

	"github.com/stepwell/stepwell/services/internal/expr"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// expressionsMax bounds the compiled expressions that are kept. There are as many as apps have in their code.
const expressionsMax = 1000

// expressions keeps what was compiled. The zero value is empty.
type expressions struct {
	mu       sync.Mutex
	programs map[checked]*expr.Program
}

// checked is an expression and the rules by which it was checked when it was registered.
type checked struct {
	source string
	policy expr.Policy
}

// policyOf are the rules for the expressions of such waits.
func policyOf(kind stepwell.WaitKind) expr.Policy {
	if kind == stepwell.WaitCancel {
		return expr.CancelOnly
	}
	return expr.Full
}

// compile returns the expression of a wait.
func (x *expressions) compile(w stepwell.Wait) (*expr.Program, error) {
	key := checked{w.Expression, policyOf(w.Kind)}
	x.mu.Lock()
	program, known := x.programs[key]
	x.mu.Unlock()
	if known {
		return program, nil
	}
	program, err := expr.Compile(key.source, key.policy)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.programs == nil || len(x.programs) >= expressionsMax {
		x.programs = map[checked]*expr.Program{}
	}
	x.programs[key] = program
	return program, nil
}
