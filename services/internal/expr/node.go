package expr

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// node is one step of a program. eval returns a value, a missing, or a *types.Err; it never returns nil.
type node interface {
	eval(f *frame) ref.Val
}

// frame is the state of one evaluation.
type frame struct {
	vars   Vars
	locals []ref.Val
	spent  int
}

// spend takes steps from what the evaluation may still cost and reports whether that was enough. Straight-line code is
// paid for at once when the evaluation begins; whatever repeats or depends on the size of data pays as it goes.
func (f *frame) spend(steps int) bool {
	f.spent += steps
	return !f.overrun()
}

// spendText is spend for looking at the whole of a text.
func (f *frame) spendText(v ref.Val) bool {
	switch v := v.(type) {
	case types.String:
		return f.spend(len(v) / bytesPerStep)
	case types.Bytes:
		return f.spend(len(v) / bytesPerStep)
	}
	return true
}

func (f *frame) overrun() bool {
	return f.spent > costMax
}

func (f *frame) overrunError() ref.Val {
	return types.NewErr("evaluation takes more than %d steps", costMax)
}

// root is one of the variables.
type root int

const (
	rootEvent root = iota
	rootAsync
	rootVars
)

func roots() map[string]root {
	return map[string]root{"event": rootEvent, "async": rootAsync, "vars": rootVars}
}

func (f *frame) variable(r root) map[string]any {
	switch r {
	case rootEvent:
		return f.vars.Event
	case rootAsync:
		return f.vars.Async
	case rootVars:
		return f.vars.Vars
	}
	return nil
}

func (f *frame) now() (time.Time, bool) {
	return f.vars.Now.UTC(), !f.vars.Now.IsZero()
}

type literalNode struct {
	value ref.Val
}

func (n literalNode) eval(*frame) ref.Val {
	return n.value
}

// localNode reads the variable of an enclosing macro.
type localNode struct {
	slot int
}

func (n localNode) eval(f *frame) ref.Val {
	return f.locals[n.slot]
}

// pathNode reads a variable, or a member of it named by constants. It walks the decoded JSON as it is: most of what
// expressions do is this, and it makes no value until the end.
type pathNode struct {
	root      root
	keys      []string
	undefined ref.Val
}

func (n *pathNode) eval(f *frame) ref.Val {
	members := f.variable(n.root)
	if members == nil {
		return n.undefined
	}
	if len(n.keys) == 0 {
		return jsonAdapter{}.NativeToValue(members)
	}
	last := len(n.keys) - 1
	for i, key := range n.keys[:last] {
		next, ok := members[key].(map[string]any)
		if !ok {
			return n.walk(members, n.keys[i:])
		}
		members = next
	}
	native, ok := members[n.keys[last]]
	if !ok {
		return n.undefined
	}
	return jsonAdapter{}.NativeToValue(native)
}

// walk goes on where the data is not a plain JSON object.
func (n *pathNode) walk(members map[string]any, keys []string) ref.Val {
	value := jsonAdapter{}.NativeToValue(members)
	for _, key := range keys {
		value = member(value, types.String(key), n.undefined)
		if isError(value) || isMissing(value) {
			return value
		}
	}
	return value
}

// member looks key up in v. What is not a map has no members.
func member(v, key, undefined ref.Val) ref.Val {
	m, ok := v.(traits.Mapper)
	if !ok {
		return undefined
	}
	value, found := m.Find(key)
	if found || value != nil && isError(value) {
		return value
	}
	return undefined
}

// selectNode is operand.field.
type selectNode struct {
	operand   node
	field     types.String
	undefined ref.Val
}

func (n *selectNode) eval(f *frame) ref.Val {
	v := n.operand.eval(f)
	if isError(v) || isMissing(v) {
		return v
	}
	return member(v, n.field, n.undefined)
}

// hasNode is has(operand.field).
type hasNode struct {
	operand node
	field   types.String
}

func (n *hasNode) eval(f *frame) ref.Val {
	v := n.operand.eval(f)
	if isError(v) {
		return v
	}
	found := member(v, n.field, missing{})
	if isError(found) {
		return found
	}
	return types.Bool(!isMissing(found))
}

// indexNode is operand[index].
type indexNode struct {
	operand, index node
	undefined      ref.Val
	at             int64
}

func (n *indexNode) eval(f *frame) ref.Val {
	v := n.operand.eval(f)
	if isError(v) {
		return v
	}
	index := n.index.eval(f)
	if isError(index) {
		return index
	}
	switch v := v.(type) {
	case missing:
		return v
	case traits.Lister:
		return n.element(v, index)
	case traits.Mapper:
		return n.member(f, v, index)
	}
	return n.undefined
}

func (n *indexNode) element(l traits.Lister, index ref.Val) ref.Val {
	if isMissing(index) {
		return n.undefined
	}
	i, err := types.GetOrError(index)
	if err != nil {
		return fail(n.at, "%w", err)
	}
	size := listSize(l)
	if i >= 0 && i < size {
		return l.Get(types.Int(i))
	}
	if !isMissing(n.undefined) {
		return n.undefined
	}
	cause, _ := fail(n.at, "index %d is out of range in a list of %d", i, size).(*types.Err)
	return missing{cause: cause}
}

func (n *indexNode) member(f *frame, m traits.Mapper, key ref.Val) ref.Val {
	switch {
	case isMissing(key):
		return n.undefined
	case !hashable(key):
		return fail(n.at, "%s cannot be a key of a map", typeName(key))
	case !f.spendText(key):
		return f.overrunError()
	}
	return member(m, key, n.undefined)
}

// listNode is [a, b].
type listNode struct {
	elements []node
}

func (n *listNode) eval(f *frame) ref.Val {
	values := make([]ref.Val, len(n.elements))
	for i, e := range n.elements {
		v := e.eval(f)
		if isError(v) {
			return v
		}
		values[i] = element(v)
	}
	return types.NewRefValList(jsonAdapter{}, values)
}

// mapNode is {k: v}.
type mapNode struct {
	keys, values []node
	at           int64
}

func (n *mapNode) eval(f *frame) ref.Val {
	entries := make(map[ref.Val]ref.Val, len(n.keys))
	for i := range n.keys {
		key := n.keys[i].eval(f)
		if isError(key) {
			return key
		}
		if _, isDouble := key.(types.Double); isDouble || !hashable(key) {
			return fail(n.at, "%s cannot be a key of a map", typeName(key))
		}
		if !f.spendText(key) {
			return f.overrunError()
		}
		if _, ok := entries[key]; ok {
			return fail(n.at, "map has the key %v twice", key.Value())
		}
		value := n.values[i].eval(f)
		if isError(value) {
			return value
		}
		entries[key] = element(value)
	}
	return types.NewRefValMap(jsonAdapter{}, entries)
}

// sortedKeys returns the keys of m in an order that is always the same, or the error to end with. Go shuffles maps, and
// neither a key nor an error message may differ from one evaluation to the next.
func sortedKeys(f *frame, m traits.Mapper) ([]ref.Val, ref.Val) {
	size := mapSize(m)
	if !f.spend(size) {
		return nil, f.overrunError()
	}
	keys := make([]ref.Val, 0, size)
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		if !f.spendText(key) {
			return nil, f.overrunError()
		}
		keys = append(keys, key)
	}
	slices.SortFunc(keys, compareKeys)
	return keys, nil
}

func compareKeys(a, b ref.Val) int {
	left, ok := a.(types.String)
	right, isText := b.(types.String)
	if ok && isText {
		return strings.Compare(string(left), string(right))
	}
	return strings.Compare(fmt.Sprintf("%T %v", a, a), fmt.Sprintf("%T %v", b, b))
}

func listSize(l traits.Lister) int {
	size, _ := l.Size().(types.Int)
	return int(size)
}

func mapSize(m traits.Mapper) int {
	size, _ := m.Size().(types.Int)
	return int(size)
}
