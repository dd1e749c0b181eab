package expr

import (
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
)

// checkAllowed reports the first operator, function or macro that CancelOnly refuses.
func checkAllowed(t *tree) error {
	var refused ast.Expr
	ast.PreOrderVisit(t.ast.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if refused == nil && e.Kind() == ast.CallKind && !allowedInCancel(e.AsCall().FunctionName()) {
			refused = e
		}
	}))
	if refused == nil {
		return nil
	}
	name := refused.AsCall().FunctionName()
	if symbol, ok := operators.FindReverse(name); ok {
		return t.origin.errorAtNode(refused.ID(), "operator %s is not allowed in a cancel condition", symbol)
	}
	return t.origin.errorAtNode(refused.ID(), "%s() is not allowed in a cancel condition", strings.TrimPrefix(name, "."))
}

func allowedInCancel(function string) bool {
	switch function {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional,
		operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals,
		operators.Greater, operators.GreaterEquals, operators.In, operators.Index,
		overloads.TypeConvertInt, overloads.TypeConvertUint, overloads.TypeConvertDouble:
		return true
	}
	return false
}
