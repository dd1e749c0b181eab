package expr

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// addNode is left + right. Where CEL has no such addition, both operands are joined as text.
type addNode struct {
	left, right node
	at          int64
}

func (n *addNode) eval(f *frame) ref.Val {
	left := n.left.eval(f)
	if isError(left) {
		return left
	}
	right := n.right.eval(f)
	if isError(right) {
		return right
	}
	switch {
	case isMissing(left) && isMissing(right):
		return types.False
	case isMissing(left):
		return right
	case isMissing(right):
		return left
	}
	return placed(n.at, n.add(f, left, right))
}

func (n *addNode) add(f *frame, left, right ref.Val) ref.Val {
	switch l := left.(type) {
	case types.String:
		if r, ok := right.(types.String); ok {
			return joinText(f, string(l), string(r))
		}
	case types.Bytes:
		if r, ok := right.(types.Bytes); ok {
			return joinBytes(f, l, r)
		}
	case traits.Lister:
		if r, ok := right.(traits.Lister); ok {
			return joinLists(f, l, r)
		}
	case traits.Adder:
		if addable(left, right) {
			return l.Add(right)
		}
	}
	l, failure := renderText(f, left, printStyle)
	if failure != nil {
		return failure
	}
	r, failure := renderText(f, right, printStyle)
	if failure != nil {
		return failure
	}
	return joinText(f, l, r)
}

// addable reports whether CEL adds the two scalars.
func addable(left, right ref.Val) bool {
	switch left.(type) {
	case types.Int, types.Uint, types.Double:
		return left.Type() == right.Type()
	case types.Timestamp:
		return right.Type() == types.DurationType
	case types.Duration:
		return right.Type() == types.DurationType || right.Type() == types.TimestampType
	}
	return false
}

func joinText(f *frame, left, right string) ref.Val {
	if failure := spendJoined(f, len(left)+len(right)); failure != nil {
		return failure
	}
	return types.String(left + right)
}

func joinBytes(f *frame, left, right types.Bytes) ref.Val {
	if failure := spendJoined(f, len(left)+len(right)); failure != nil {
		return failure
	}
	return left.Add(right)
}

// spendJoined pays for a text of size bytes. It returns the error to end with, or nil.
func spendJoined(f *frame, size int) ref.Val {
	switch {
	case size > textBytesMax:
		return types.NewErr("text is longer than %d bytes", textBytesMax)
	case !f.spend(size / bytesPerStep):
		return f.overrunError()
	}
	return nil
}

// joinLists copies. The lists that cel-go joins without copying get slower to read with every join.
func joinLists(f *frame, left, right traits.Lister) ref.Val {
	size := listSize(left) + listSize(right)
	if !f.spend(size) {
		return f.overrunError()
	}
	joined := make([]ref.Val, 0, size)
	for _, l := range []traits.Lister{left, right} {
		for i := range types.Int(listSize(l)) {
			joined = append(joined, l.Get(i))
		}
	}
	return types.NewRefValList(jsonAdapter{}, joined)
}
