package expr

import (
	"math"
	"time"

	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// equalNode is left == right, or left != right.
type equalNode struct {
	left, right node
	negated     bool
}

func (n *equalNode) eval(f *frame) ref.Val {
	left := n.left.eval(f)
	if isError(left) {
		return left
	}
	right := n.right.eval(f)
	if isError(right) {
		return right
	}
	result := equalOrMissing(f, left, right)
	if equal, ok := result.(types.Bool); ok && n.negated {
		return !equal
	}
	return result
}

// equalOrMissing compares with missing equal to null and to nothing else, not even to another missing: that two events
// both lack a member does not make them belong together.
func equalOrMissing(f *frame, left, right ref.Val) ref.Val {
	switch {
	case isMissing(left):
		return types.Bool(right == types.NullValue)
	case isMissing(right):
		return types.Bool(left == types.NullValue)
	}
	return equal(f, left, right, 0)
}

// equal is the equality of CEL: by value, across numeric types, and false for other types that differ. It compares
// lists and maps itself, in order to pay for every element (I1).
func equal(f *frame, left, right ref.Val, depth int) ref.Val {
	switch {
	case !f.spend(1):
		return f.overrunError()
	case depth > dataDepthMax:
		return types.NewErr("value is nested deeper than %d levels", dataDepthMax)
	}
	switch l := left.(type) {
	case traits.Lister:
		if r, ok := right.(traits.Lister); ok {
			return equalLists(f, l, r, depth)
		}
		return types.False
	case traits.Mapper:
		if r, ok := right.(traits.Mapper); ok {
			return equalMaps(f, l, r, depth)
		}
		return types.False
	case types.String:
		r, ok := right.(types.String)
		if ok && len(l) == len(r) && !f.spendText(l) {
			return f.overrunError()
		}
		return types.Bool(ok && l == r)
	}
	return types.Equal(left, right)
}

func equalLists(f *frame, left, right traits.Lister, depth int) ref.Val {
	size := listSize(left)
	if size != listSize(right) {
		return types.False
	}
	for i := range types.Int(size) {
		if same := equal(f, left.Get(i), right.Get(i), depth+1); same != types.True {
			return same
		}
	}
	return types.True
}

func equalMaps(f *frame, left, right traits.Mapper, depth int) ref.Val {
	if mapSize(left) != mapSize(right) {
		return types.False
	}
	keys, failure := sortedKeys(f, left)
	if failure != nil {
		return failure
	}
	for _, key := range keys {
		l, _ := left.Find(key)
		r, found := right.Find(key)
		if !found {
			return types.False
		}
		if same := equal(f, l, r, depth+1); same != types.True {
			return same
		}
	}
	return types.True
}

// inNode is left in right.
type inNode struct {
	left, right node
	at          int64
}

func (n *inNode) eval(f *frame) ref.Val {
	left := n.left.eval(f)
	if isError(left) {
		return left
	}
	right := n.right.eval(f)
	if isError(right) {
		return right
	}
	if isMissing(left) || isMissing(right) {
		return types.False
	}
	switch r := right.(type) {
	case traits.Lister:
		return listContains(f, r, left)
	case traits.Mapper:
		if !f.spendText(left) {
			return f.overrunError()
		}
		return types.Bool(hashable(left) && !isMissing(member(r, left, missing{})))
	}
	return fail(n.at, "no such overload: %s in %s", typeName(left), typeName(right))
}

func listContains(f *frame, l traits.Lister, wanted ref.Val) ref.Val {
	for i := range types.Int(listSize(l)) {
		if same := equal(f, l.Get(i), wanted, 0); same != types.False {
			return same
		}
	}
	return types.False
}

// orderNode is left < right, and the like.
type orderNode struct {
	left, right node
	operator    string
	at          int64
}

func (n *orderNode) eval(f *frame) ref.Val {
	left := n.left.eval(f)
	if isError(left) {
		return left
	}
	right := n.right.eval(f)
	if isError(right) {
		return right
	}
	if isMissing(left) || isMissing(right) {
		return n.orderMissing(left, right)
	}
	if !f.spendText(left) {
		return f.overrunError()
	}
	l, r := orZero(left, right), orZero(right, left)
	if isNaN(l) || isNaN(r) {
		return types.False
	}
	comparer, ok := l.(traits.Comparer)
	if !ok {
		return n.noOverload(left, right)
	}
	sign, ok := comparer.Compare(r).(types.Int)
	if !ok {
		return n.noOverload(left, right)
	}
	return types.Bool(n.holds(int(sign)))
}

// orderMissing puts a missing member before every value. It has no order with null or another missing.
func (n *orderNode) orderMissing(left, right ref.Val) ref.Val {
	absent := func(v ref.Val) bool { return isMissing(v) || v == types.NullValue }
	switch {
	case absent(left) && absent(right):
		return types.False
	case isMissing(left):
		return types.Bool(n.holds(-1))
	}
	return types.Bool(n.holds(1))
}

// holds reports whether the operator accepts a left operand that compares to the right one as sign does to zero.
func (n *orderNode) holds(sign int) bool {
	switch n.operator {
	case operators.Less:
		return sign < 0
	case operators.LessEquals:
		return sign <= 0
	case operators.Greater:
		return sign > 0
	}
	return sign >= 0
}

func (n *orderNode) noOverload(left, right ref.Val) ref.Val {
	symbol, _ := operators.FindReverse(n.operator)
	return fail(n.at, "no such overload: %s %s %s", typeName(left), symbol, typeName(right))
}

// orZero returns v, or the zero value of other's type if v is null.
func orZero(v, other ref.Val) ref.Val {
	if v != types.NullValue {
		return v
	}
	switch other.(type) {
	case types.Bool:
		return types.False
	case types.String:
		return types.String("")
	case types.Bytes:
		return types.Bytes(nil)
	case types.Int, types.Uint, types.Double, types.Null:
		return types.IntZero
	case types.Timestamp:
		return types.Timestamp{Time: time.Time{}}
	case types.Duration:
		return types.Duration{Duration: 0}
	}
	return v
}

func isNaN(v ref.Val) bool {
	d, ok := v.(types.Double)
	return ok && math.IsNaN(float64(d))
}
