package runner

import (
	"sync"

	"github.com/stepwell/stepwell/services/internal/expr"
)

// expressionsMax bounds the compiled expressions that are kept. There are as many as apps have in their code.
const expressionsMax = 1000

// expressions keeps what was compiled. The zero value is empty.
type expressions struct {
	mu       sync.Mutex
	programs map[string]*expr.Program
}

func (x *expressions) compile(source string) (*expr.Program, error) {
	x.mu.Lock()
	program, known := x.programs[source]
	x.mu.Unlock()
	if known {
		return program, nil
	}
	program, err := expr.Compile(source, expr.Full)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.programs == nil || len(x.programs) >= expressionsMax {
		x.programs = map[string]*expr.Program{}
	}
	x.programs[source] = program
	return program, nil
}
