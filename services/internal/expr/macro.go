package expr

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// loop is what the macros have in common: they bind a variable to the elements of a list, or the keys of a map in
// their order.
type loop struct {
	over node
	slot int
	// weight is the number of nodes evaluated for each element, those of inner loops counted once: these pay for
	// themselves.
	weight int
	at     int64
}

// run calls visit with every element bound, until it returns a result, which is then the result of run. It returns nil
// if visit never did, a missing if there is nothing to loop over, and an error if that fails.
func (l *loop) run(f *frame, visit func(element ref.Val) ref.Val) ref.Val {
	switch over := l.over.eval(f).(type) {
	case *types.Err:
		return over
	case missing:
		return over
	case traits.Lister:
		for i := range types.Int(listSize(over)) {
			if result := l.visit(f, over.Get(i), visit); result != nil {
				return result
			}
		}
		return nil
	case traits.Mapper:
		keys, failure := sortedKeys(f, over)
		if failure != nil {
			return failure
		}
		for _, key := range keys {
			if result := l.visit(f, key, visit); result != nil {
				return result
			}
		}
		return nil
	default:
		return fail(l.at, "%s has no elements to go through", typeName(over))
	}
}

func (l *loop) visit(f *frame, v ref.Val, visit func(element ref.Val) ref.Val) ref.Val {
	if !f.spend(l.weight) {
		return f.overrunError()
	}
	if isError(v) {
		return v
	}
	f.locals[l.slot] = v
	return visit(v)
}

// quantifierNode is exists, which looks for an element that satisfies the condition, or all, which looks for one that
// does not. An error on one element is forgotten if another decides.
type quantifierNode struct {
	loop
	condition node
	wanted    bool
}

func (n *quantifierNode) eval(f *frame) ref.Val {
	var failure ref.Val
	result := n.run(f, func(ref.Val) ref.Val {
		v := n.condition.eval(f)
		switch {
		case isError(v):
			if failure == nil {
				failure = v
			}
		case truthy(v) == n.wanted:
			return types.Bool(n.wanted)
		}
		return nil
	})
	switch {
	case result != nil && isMissing(result):
		return types.False
	case result != nil:
		return result
	case failure != nil:
		return failure
	}
	return types.Bool(!n.wanted)
}

// existsOneNode is exists_one.
type existsOneNode struct {
	loop
	condition node
}

func (n *existsOneNode) eval(f *frame) ref.Val {
	count := 0
	result := n.run(f, func(ref.Val) ref.Val {
		v := n.condition.eval(f)
		switch {
		case isError(v):
			return v
		case truthy(v):
			count++
		}
		return nil
	})
	switch {
	case result == nil:
		return types.Bool(count == 1)
	case isMissing(result):
		return types.False
	}
	return result
}

// collectNode is filter, which has no transform, or map, whose condition is optional. Over something missing it is
// missing too, so that size() of it is 0 and a further macro has nothing to go through.
type collectNode struct {
	loop
	condition, transform node
}

func (n *collectNode) eval(f *frame) ref.Val {
	var collected []ref.Val
	result := n.run(f, func(v ref.Val) ref.Val {
		if n.condition != nil {
			condition := n.condition.eval(f)
			if isError(condition) {
				return condition
			}
			if !truthy(condition) {
				return nil
			}
		}
		if n.transform != nil {
			v = n.transform.eval(f)
		}
		if isError(v) {
			return v
		}
		collected = append(collected, element(v))
		return nil
	})
	if result != nil {
		return result
	}
	return types.NewRefValList(jsonAdapter{}, collected)
}
