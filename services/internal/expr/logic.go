package expr

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// settled evaluates an operand of && or ||, for which missing is false.
func settled(f *frame, n node) ref.Val {
	v := n.eval(f)
	if isMissing(v) {
		return types.False
	}
	return v
}

// logicNode is left && right, or left || right. The result is the operand that decided it. As in plain CEL, an error on
// the left is forgotten if the right alone decides, so that the order of conditions does not matter.
type logicNode struct {
	left, right node
	// decider is the truth value that needs no look at the other operand: false for &&, true for ||.
	decider bool
}

func (n *logicNode) eval(f *frame) ref.Val {
	left := settled(f, n.left)
	if !isError(left) {
		if truthy(left) == n.decider {
			return left
		}
		return settled(f, n.right)
	}
	if right := settled(f, n.right); right == types.Bool(n.decider) {
		return right
	}
	return left
}

// ternaryNode is condition ? then : otherwise.
type ternaryNode struct {
	condition, then, otherwise node
}

func (n *ternaryNode) eval(f *frame) ref.Val {
	condition := n.condition.eval(f)
	switch {
	case isError(condition):
		return condition
	case truthy(condition):
		return n.then.eval(f)
	}
	return n.otherwise.eval(f)
}
