package expr

import (
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// equalitiesMax bounds the equalities of a program that are found; more make no difference.
const equalitiesMax = 8

// Equalities are what the program compares members of the arriving event with, given the other variables, where it can
// be true only if they are equal: terms such as async.data.id == event.data.id that are joined by &&. What follows of
// them is necessary, not enough: Match decides.
func (p *Program) Equalities(v Vars) []stepwell.Equality {
	f := p.frame(v)
	var found []stepwell.Equality
	var look func(n node)
	look = func(n node) {
		switch n := n.(type) {
		case *logicNode:
			if !n.decider {
				look(n.left)
				look(n.right)
			}
		case *equalNode:
			if e, ok := n.equality(f); ok && len(found) < equalitiesMax {
				found = append(found, e)
			}
		}
	}
	look(p.root)
	// Terms in another order, or written twice, are the same shape.
	slices.SortFunc(found, func(a, b stepwell.Equality) int { return slices.Compare(a.Path, b.Path) })
	return slices.CompactFunc(found, func(a, b stepwell.Equality) bool { return slices.Equal(a.Path, b.Path) })
}

// equality is the comparison of a member of the arriving event with a value that is known now.
func (n *equalNode) equality(f *frame) (stepwell.Equality, bool) {
	if n.negated {
		return stepwell.Equality{}, false
	}
	for _, sides := range [][2]node{{n.left, n.right}, {n.right, n.left}} {
		path, isPath := sides[0].(*pathNode)
		if !isPath || path.root != rootAsync || len(path.keys) == 0 || !known(sides[1]) {
			continue
		}
		if slices.ContainsFunc(path.keys, func(key string) bool { return !stepwell.InShape(key) }) {
			continue
		}
		if value, isScalar := scalarOf(sides[1].eval(f)); isScalar {
			return stepwell.Equality{Path: path.keys, Value: value}, true
		}
	}
	return stepwell.Equality{}, false
}

// known tells whether a node's value does not depend on the arriving event, nor on the time.
func known(n node) bool {
	switch n := n.(type) {
	case literalNode:
		return true
	case *pathNode:
		return n.root == rootEvent
	}
	return false
}

// scalarOf is a value as decoded JSON has it.
func scalarOf(v ref.Val) (value any, isScalar bool) {
	switch v := v.(type) {
	case types.String:
		return string(v), true
	case types.Bool:
		return bool(v), true
	case types.Double:
		return float64(v), true
	case types.Int:
		return float64(v), true
	case types.Uint:
		return float64(v), true
	case types.Null, missing:
		return nil, true
	}
	return nil, false
}
