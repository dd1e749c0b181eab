// Package expr compiles and evaluates the CEL expressions that functions attach to events: trigger filters, keys,
// priorities, batch, wait and cancel conditions. Event data has no schema, so evaluation is forgiving: a member that
// is not there is a value of its own, not an error.
//
// It must not read the clock, do I/O of its own, or know what an expression is for: callers pass the variables and the
// time, and decide what a result means to them.
//
// Compiling parses with cel-go and plans the syntax tree into nodes of our own. The nodes use the values and standard
// functions of cel-go and differ from its interpreter only where missing members, null and truthiness are concerned.
// Three numbered invariants hold:
//
//	I1: compiling and evaluating terminate within the limits of limits.go, whatever the expression and the data.
//	I2: neither panics.
//	I3: where plain CEL gives a value for operands that are present and of matching types, we give the same value.
package expr

import (
	"fmt"
	"math"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Policy says which part of the language an expression may use.
type Policy int

const (
	// Full allows every operator, function and macro: triggers, keys, priorities, batches, waits.
	Full Policy = iota
	// CancelOnly is the restricted language of cancel conditions: comparison, logic, the ternary, indexing, in, and
	// the conversions int, uint and double. Literals are type-checked, and a member that is missing below event counts
	// as null.
	CancelOnly
)

// Vars are the variables of one evaluation. The maps hold decoded JSON; every number in them counts as a double, even
// when it is a Go integer. They are read, never changed or kept, and must not change during the evaluation. A nil map
// leaves its variable missing.
type Vars struct {
	// Event is the event that started the run, or may start it.
	Event map[string]any
	// Async is the event arriving for a wait or a cancellation.
	Async map[string]any
	// Vars is what an expression reads as vars.
	Vars map[string]any
	// Now is what now(), now_plus() and now_minus() go by. They are errors when it is zero.
	Now time.Time
}

// Key is the result of a key expression.
type Key struct {
	// Text is the result as text: a string as it is, a whole number in plain digits, true or false, null, and lists and
	// maps in a form in which different values have different texts.
	Text string
	// IsFalse reports that the result was the boolean false, by which rate limits and singletons are switched off for
	// an event. A missing member counts as false; the text "false" does not.
	IsFalse bool
}

// Program is a compiled expression. It never changes and is safe for concurrent use.
type Program struct {
	origin    origin
	root      node
	nodeCount int
	slotCount int
}

// Compile checks source against policy and prepares it for evaluation. Every problem is reported as an *Error that
// says where in the source it is: syntax, an unknown variable or function, a wrong number of arguments, a bad regular
// expression, something the policy refuses, or a limit exceeded.
func Compile(source string, policy Policy) (*Program, error) {
	lang, err := shared()
	if err != nil {
		return nil, fmt.Errorf("build expression language: %w", err)
	}
	tree, err := lang.parse(source)
	if err != nil {
		return nil, err
	}
	if policy == CancelOnly {
		if err := checkAllowed(tree); err != nil {
			return nil, err
		}
	}
	program, err := lang.plan(tree, policy)
	if err != nil {
		return nil, err
	}
	if policy == CancelOnly {
		if err := lang.checkTypes(tree); err != nil {
			return nil, err
		}
	}
	return program, nil
}

// Source returns the text the program was compiled from.
func (p *Program) Source() string {
	return p.origin.text
}

// Match evaluates the program as a condition. It is true only if the result is the boolean true. When the evaluation
// fails or its result is not a boolean, Match returns false and an *Error to show to the author of the expression.
func (p *Program) Match(v Vars) (bool, error) {
	result, err := p.eval(v)
	if err != nil {
		return false, err
	}
	matched, ok := result.(types.Bool)
	if !ok {
		return false, p.origin.errorAtStart("result is " + typeName(result) + ", not bool")
	}
	return bool(matched), nil
}

// Key evaluates the program as a key. It returns an *Error when the evaluation fails or the text is too long.
func (p *Program) Key(v Vars) (Key, error) {
	f := p.frame(v)
	result, err := p.run(f)
	if err != nil {
		return Key{}, err
	}
	text, failure := renderText(f, result, keyStyle)
	if failure != nil {
		return Key{}, p.origin.evalError(failure)
	}
	return Key{Text: text, IsFalse: result == types.False}, nil
}

// Int evaluates the program as an integer, which is how priorities are expressed. Whole doubles are accepted, because
// every number in an event is a double. Any other result is an *Error.
func (p *Program) Int(v Vars) (int64, error) {
	result, err := p.eval(v)
	if err != nil {
		return 0, err
	}
	switch n := result.(type) {
	case types.Int:
		return int64(n), nil
	case types.Uint:
		if n <= math.MaxInt64 {
			return int64(n), nil
		}
	case types.Double:
		if whole(float64(n)) {
			return int64(n), nil
		}
	default:
		return 0, p.origin.errorAtStart("result is " + typeName(result) + ", not a whole number")
	}
	return 0, p.origin.errorAtStart(fmt.Sprintf("result %v is not a whole number in range", result.Value()))
}

func (p *Program) eval(v Vars) (ref.Val, error) {
	return p.run(p.frame(v))
}

func (p *Program) frame(v Vars) *frame {
	f := &frame{vars: v}
	if p.slotCount > 0 {
		f.locals = make([]ref.Val, p.slotCount)
	}
	return f
}

// run returns the value of the program. The cost is looked at even if there is a value, because && and || may have
// absorbed the error that told of the overrun.
func (p *Program) run(f *frame) (ref.Val, error) {
	f.spend(p.nodeCount)
	result := p.root.eval(f)
	if f.overrun() {
		return nil, p.origin.evalError(f.overrunError())
	}
	if m, ok := result.(missing); ok {
		result = m.settle()
	}
	if isError(result) {
		return nil, p.origin.evalError(result)
	}
	return result, nil
}
