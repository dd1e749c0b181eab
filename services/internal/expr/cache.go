package expr

import (
	"sync"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// cacheMax bounds the programs that a Cache keeps. There are as many as apps have in their code.
const cacheMax = 1000

// Cache keeps the compiled expressions of waits. The zero value is empty. It is safe for concurrent use.
type Cache struct {
	mu       sync.Mutex
	programs map[checked]*Program
}

// checked is an expression and the rules by which it was checked when it was registered.
type checked struct {
	source string
	policy Policy
}

// OfWait returns the wait's expression, by the rules for waits of its kind. Errors are those of Compile.
func (c *Cache) OfWait(w stepwell.Wait) (*Program, error) {
	key := checked{w.Expression, Full}
	if w.Kind == stepwell.WaitCancel {
		key.policy = CancelOnly
	}
	c.mu.Lock()
	program, known := c.programs[key]
	c.mu.Unlock()
	if known {
		return program, nil
	}
	program, err := Compile(key.source, key.policy)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.programs == nil || len(c.programs) >= cacheMax {
		c.programs = map[checked]*Program{}
	}
	c.programs[key] = program
	return program, nil
}

// Index finds out by what events find the wait: what its expression compares for equality, given the variables of the
// event that started the run. A wait without an expression has nothing of that. Errors are those of Compile.
func (c *Cache) Index(w *stepwell.Wait, trigger func() map[string]any) error {
	if w.Expression == "" {
		return nil
	}
	program, err := c.OfWait(*w)
	if err != nil {
		return err
	}
	w.Shape, w.KeyHash = stepwell.NewShape(program.Equalities(Vars{Event: trigger()}))
	return nil
}
