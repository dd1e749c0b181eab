package expr

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// planner turns a syntax tree into nodes.
type planner struct {
	lang   *language
	origin origin
	policy Policy
	roots  map[string]root
	// locals are the variables of the macros around the current expression; an index is a slot of the frame.
	locals    []string
	slotCount int
	nodeCount int
}

func (l *language) plan(t *tree, policy Policy) (*Program, error) {
	p := planner{lang: l, origin: t.origin, policy: policy, roots: roots()}
	top, err := p.plan(t.ast.Expr())
	if err != nil {
		return nil, err
	}
	return &Program{origin: t.origin, root: top, nodeCount: p.nodeCount, slotCount: p.slotCount}, nil
}

func (p *planner) plan(e ast.Expr) (node, error) {
	p.nodeCount++
	switch e.Kind() {
	case ast.LiteralKind:
		return literalNode{value: e.AsLiteral()}, nil
	case ast.IdentKind:
		return p.planName(e)
	case ast.SelectKind:
		return p.planSelect(e)
	case ast.CallKind:
		return p.planCall(e)
	case ast.ListKind:
		elements, err := p.planAll(e.AsList().Elements())
		return &listNode{elements: elements}, err
	case ast.MapKind:
		return p.planMap(e)
	case ast.StructKind:
		return nil, p.refuse(e, "messages such as %s{} are not supported", e.AsStruct().TypeName())
	case ast.ComprehensionKind, ast.UnspecifiedExprKind:
	}
	return nil, p.refuse(e, "unsupported syntax")
}

func (p *planner) refuse(e ast.Expr, format string, args ...any) error {
	return p.origin.errorAtNode(e.ID(), format, args...)
}

func (p *planner) planAll(expressions []ast.Expr) ([]node, error) {
	nodes := make([]node, len(expressions))
	for i, e := range expressions {
		n, err := p.plan(e)
		if err != nil {
			return nil, err
		}
		nodes[i] = n
	}
	return nodes, nil
}

func (p *planner) planName(e ast.Expr) (node, error) {
	name := e.AsIdent()
	// The innermost of several macros using the same name is the last.
	for slot, local := range slices.Backward(p.locals) {
		if local == name {
			return localNode{slot: slot}, nil
		}
	}
	if r, ok := p.roots[name]; ok {
		return &pathNode{root: r, undefined: p.undefined(e)}, nil
	}
	if t, ok := p.lang.typeNames[name]; ok {
		return literalNode{value: t}, nil
	}
	return nil, p.refuse(e, "unknown variable %s", name)
}

// undefined returns what a member of e is that does not exist. In a cancel condition, members of the event that
// started the run count as null.
func (p *planner) undefined(e ast.Expr) ref.Val {
	if p.policy == CancelOnly && baseName(e) == "event" {
		return types.NullValue
	}
	return missing{}
}

// baseName returns the variable that members are selected from, or nothing if it is not a variable.
func baseName(e ast.Expr) string {
	for {
		switch {
		case e.Kind() == ast.SelectKind:
			e = e.AsSelect().Operand()
		case e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.Index:
			e = e.AsCall().Args()[0]
		case e.Kind() == ast.IdentKind:
			return e.AsIdent()
		default:
			return ""
		}
	}
}

func (p *planner) planSelect(e ast.Expr) (node, error) {
	operand, err := p.plan(e.AsSelect().Operand())
	if err != nil {
		return nil, err
	}
	return p.memberOf(e, operand, e.AsSelect().FieldName()), nil
}

// memberOf selects a member known at compile time, if possible by making a path longer.
func (p *planner) memberOf(e ast.Expr, operand node, name string) node {
	if path, ok := operand.(*pathNode); ok {
		path.keys = append(path.keys, name)
		return path
	}
	return &selectNode{operand: operand, field: types.String(name), undefined: p.undefined(e)}
}

func (p *planner) planMap(e ast.Expr) (node, error) {
	n := &mapNode{at: e.ID()}
	for _, entry := range e.AsMap().Entries() {
		pair, err := p.planAll([]ast.Expr{entry.AsMapEntry().Key(), entry.AsMapEntry().Value()})
		if err != nil {
			return nil, err
		}
		n.keys = append(n.keys, pair[0])
		n.values = append(n.values, pair[1])
	}
	return n, nil
}

func (p *planner) planCall(e ast.Expr) (node, error) {
	call := e.AsCall()
	if call.IsMemberFunction() {
		if isMacro(call.FunctionName(), len(call.Args())) {
			return p.planMacro(e)
		}
	} else if call.FunctionName() == operators.Has {
		return p.planHas(e)
	}
	expressions := call.Args()
	if call.IsMemberFunction() {
		expressions = append([]ast.Expr{call.Target()}, expressions...)
	}
	if !isPlanned(call.FunctionName()) || call.FunctionName() == overloads.Matches {
		if err := p.checkFunction(e, len(expressions)); err != nil {
			return nil, err
		}
	}
	args, err := p.planAll(expressions)
	if err != nil {
		return nil, err
	}
	if !isPlanned(call.FunctionName()) {
		return &callNode{fn: p.lang.functions[call.FunctionName()], args: args, at: e.ID()}, nil
	}
	return p.planOperator(e, args)
}

// checkFunction reports a function that does not exist or does not take so many arguments. Whether it is called as a
// member makes no difference, as the data that could tell is not known yet.
func (p *planner) checkFunction(e ast.Expr, argCount int) error {
	name := e.AsCall().FunctionName()
	fn, ok := p.lang.functions[name]
	if !ok {
		return p.refuse(e, "unknown function %s", name)
	}
	if !slices.Contains(fn.argCounts, argCount) {
		return p.refuse(e, "wrong number of arguments for %s", fn.symbol())
	}
	return nil
}

func (p *planner) planOperator(e ast.Expr, args []node) (node, error) {
	name := e.AsCall().FunctionName()
	switch name {
	case operators.LogicalAnd, operators.LogicalOr:
		return &logicNode{left: args[0], right: args[1], decider: name == operators.LogicalOr}, nil
	case operators.Conditional:
		return &ternaryNode{condition: args[0], then: args[1], otherwise: args[2]}, nil
	case operators.Equals, operators.NotEquals:
		return &equalNode{left: args[0], right: args[1], negated: name == operators.NotEquals}, nil
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return &orderNode{left: args[0], right: args[1], operator: name, at: e.ID()}, nil
	case operators.Add:
		return &addNode{left: args[0], right: args[1], at: e.ID()}, nil
	case operators.In:
		return &inNode{left: args[0], right: args[1], at: e.ID()}, nil
	case operators.Index:
		if key, ok := literalText(args[1]); ok {
			return p.memberOf(e, args[0], key), nil
		}
		return &indexNode{operand: args[0], index: args[1], undefined: p.undefined(e), at: e.ID()}, nil
	case overloads.Matches:
		return p.planMatches(e, args)
	}
	return nil, p.refuse(e, "unsupported operator %s", name)
}

// planMatches compiles the regular expression now if it is a literal, which also tells its mistakes early.
func (p *planner) planMatches(e ast.Expr, args []node) (node, error) {
	fn := p.lang.functions[overloads.Matches]
	if text, ok := literalText(args[1]); ok {
		compiled, err := compilePattern(text)
		if err != nil {
			return nil, p.refuse(e, "%s", err)
		}
		fn, args = matchLiteral(compiled), args[:1]
	}
	return &callNode{fn: fn, args: args, at: e.ID()}, nil
}

func literalText(n node) (string, bool) {
	literal, ok := n.(literalNode)
	if !ok {
		return "", false
	}
	text, ok := literal.value.(types.String)
	return string(text), ok
}

func (p *planner) planHas(e ast.Expr) (node, error) {
	args := e.AsCall().Args()
	if len(args) != 1 || args[0].Kind() != ast.SelectKind {
		return nil, p.refuse(e, "has() takes one member, as in has(event.data.id)")
	}
	field := args[0].AsSelect()
	operand, err := p.plan(field.Operand())
	if err != nil {
		return nil, err
	}
	return &hasNode{operand: operand, field: types.String(field.FieldName())}, nil
}

func isMacro(name string, argCount int) bool {
	switch name {
	case operators.Exists, operators.All, operators.ExistsOne, "existsOne", operators.Filter:
		return argCount == 2
	case operators.Map:
		return argCount == 2 || argCount == 3
	}
	return false
}

func (p *planner) planMacro(e ast.Expr) (node, error) {
	call := e.AsCall()
	variable := call.Args()[0]
	if variable.Kind() != ast.IdentKind || strings.HasPrefix(variable.AsIdent(), ".") {
		return nil, p.refuse(variable, "first argument of %s must be a name for the element", call.FunctionName())
	}
	over, err := p.plan(call.Target())
	if err != nil {
		return nil, err
	}
	l := loop{over: over, slot: len(p.locals), at: e.ID()}
	p.locals = append(p.locals, variable.AsIdent())
	p.slotCount = max(p.slotCount, len(p.locals))
	before := p.nodeCount
	body, err := p.planAll(call.Args()[1:])
	if err != nil {
		return nil, err
	}
	p.locals = p.locals[:l.slot]
	l.weight = 1 + p.nodeCount - before
	return newMacroNode(call.FunctionName(), l, body), nil
}

func newMacroNode(name string, l loop, body []node) node {
	switch name {
	case operators.Exists, operators.All:
		return &quantifierNode{loop: l, condition: body[0], wanted: name == operators.Exists}
	case operators.Filter:
		return &collectNode{loop: l, condition: body[0]}
	case operators.Map:
		if len(body) == 2 {
			return &collectNode{loop: l, condition: body[0], transform: body[1]}
		}
		return &collectNode{loop: l, transform: body[0]}
	}
	return &existsOneNode{loop: l, condition: body[0]}
}
