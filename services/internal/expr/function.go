package expr

import (
	"fmt"
	"regexp"
	"strings"

	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/stdlib"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// function is a function or an arithmetic operator. Member functions are functions of their target: x.f(y) is f(x, y).
type function struct {
	name string
	// argCounts are the numbers of arguments it can be called with.
	argCounts []int
	call      func(f *frame, args []ref.Val) ref.Val
	// ofMissing is the result if an argument is missing.
	ofMissing ref.Val
}

// symbol is how the function is written.
func (fn *function) symbol() string {
	if symbol, ok := operators.FindReverse(fn.name); ok {
		return symbol
	}
	return fn.name
}

// callNode is fn(args).
type callNode struct {
	fn   *function
	args []node
	at   int64
}

func (n *callNode) eval(f *frame) ref.Val {
	args := make([]ref.Val, len(n.args))
	incomplete := false
	for i, arg := range n.args {
		v := arg.eval(f)
		if isError(v) {
			return v
		}
		if !f.spendText(v) {
			return f.overrunError()
		}
		incomplete = incomplete || isMissing(v)
		args[i] = v
	}
	if incomplete {
		return n.fn.ofMissing
	}
	result := n.fn.call(f, args)
	if result == nil {
		return n.noOverload(args)
	}
	return placed(n.at, result)
}

func (n *callNode) noOverload(args []ref.Val) ref.Val {
	names := make([]string, len(args))
	for i, arg := range args {
		names[i] = typeName(arg)
	}
	if n.fn.symbol() != n.fn.name && len(names) == 2 {
		return fail(n.at, "no such overload: %s %s %s", names[0], n.fn.symbol(), names[1])
	}
	return fail(n.at, "no such overload: %s(%s)", n.fn.symbol(), strings.Join(names, ", "))
}

// standardFunctions returns the functions and arithmetic operators of cel-go that need nothing of our own.
func standardFunctions() (map[string]*function, error) {
	result := make(map[string]*function)
	for _, declared := range stdlib.Functions() {
		if declared.IsDeclarationDisabled() || isPlanned(declared.Name()) {
			continue
		}
		bindings, err := declared.Bindings()
		if err != nil {
			return nil, fmt.Errorf("bind standard function %s: %w", declared.Name(), err)
		}
		for _, binding := range bindings {
			if binding.Operator == declared.Name() {
				result[declared.Name()] = standardFunction(declared, binding)
			}
		}
	}
	return result, nil
}

// isPlanned reports whether calls of the function become nodes of their own.
func isPlanned(name string) bool {
	switch name {
	case operators.Conditional, operators.LogicalAnd, operators.LogicalOr, operators.NotStrictlyFalse,
		operators.Equals, operators.NotEquals, operators.Add, operators.In, operators.Index,
		operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals, overloads.Matches:
		return true
	}
	return false
}

func standardFunction(declared *decls.FunctionDecl, binding *functions.Overload) *function {
	fn := &function{name: declared.Name(), ofMissing: types.False}
	if fn.name == overloads.Size {
		fn.ofMissing = types.IntZero
	}
	for _, o := range declared.OverloadDecls() {
		fn.argCounts = append(fn.argCounts, len(o.ArgTypes()))
	}
	takesZone := strings.HasPrefix(fn.name, "get")
	fn.call = func(f *frame, args []ref.Val) ref.Val {
		if takesZone && len(args) == 2 && !f.spend(zoneSteps) {
			return f.overrunError()
		}
		return withoutOverloadError(callBinding(binding, args))
	}
	return fn
}

// callBinding calls what cel-go has bound to a name. It returns nil if that does not take these arguments.
func callBinding(binding *functions.Overload, args []ref.Val) ref.Val {
	if binding.OperandTrait != 0 && !args[0].Type().HasTrait(binding.OperandTrait) {
		return nil
	}
	switch {
	case len(args) == 1 && binding.Unary != nil:
		return binding.Unary(args[0])
	case len(args) == 2 && binding.Binary != nil:
		return binding.Binary(args[0], args[1])
	case binding.Function != nil:
		return binding.Function(args...)
	}
	return nil
}

// withoutOverloadError returns nil for the errors by which cel-go says that a function does not take its arguments,
// because they do not say which function and which arguments.
func withoutOverloadError(v ref.Val) ref.Val {
	if failure, ok := v.(*types.Err); ok && strings.HasPrefix(failure.String(), "no such overload") {
		return nil
	}
	return v
}

// pattern is a compiled regular expression.
type pattern struct {
	re *regexp.Regexp
	// size is the number of instructions, to each of which every byte of a text may be put.
	size int
}

// compilePattern compiles a regular expression of bounded size.
func compilePattern(text string) (*pattern, error) {
	if len(text) > patternBytesMax {
		return nil, fmt.Errorf("regular expression has %d bytes, more than %d", len(text), patternBytesMax)
	}
	size, err := types.RegexProgramSize(text)
	if err != nil {
		return nil, fmt.Errorf("regular expression: %w", err)
	}
	if size > patternStepsMax {
		return nil, fmt.Errorf("regular expression compiles to %d steps, more than %d", size, patternStepsMax)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("regular expression: %w", err)
	}
	return &pattern{re: re, size: size}, nil
}

func (p *pattern) match(f *frame, text string) ref.Val {
	if !f.spend(len(text) * p.size / patternWorkPerStep) {
		return f.overrunError()
	}
	return types.Bool(p.re.MatchString(text))
}

// matches is the function matches(text, pattern) for a pattern that is not a literal.
func matches(f *frame, args []ref.Val) ref.Val {
	text, ok := args[0].(types.String)
	expression, isText := args[1].(types.String)
	if !ok || !isText {
		return nil
	}
	if !f.spend(min(len(expression), patternBytesMax) * patternCompileSteps) {
		return f.overrunError()
	}
	p, err := compilePattern(string(expression))
	if err != nil {
		return types.WrapErr(err)
	}
	return p.match(f, string(text))
}

// matchLiteral is matches with a pattern known at compile time.
func matchLiteral(p *pattern) *function {
	return &function{name: overloads.Matches, ofMissing: types.False, call: func(f *frame, args []ref.Val) ref.Val {
		text, ok := args[0].(types.String)
		if !ok {
			return nil
		}
		return p.match(f, string(text))
	}}
}
