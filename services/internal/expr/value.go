package expr

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// missing is the value of a member that is not there. Operators know it; it never gets into a list or a map and never
// leaves the package.
type missing struct {
	// cause is set for an index out of range. Operators treat it like any missing member, but as a result it is an
	// error rather than false.
	cause *types.Err
}

var _ ref.Val = missing{}

// settle returns what a missing value is where a plain value is needed.
func (m missing) settle() ref.Val {
	if m.cause != nil {
		return m.cause
	}
	return types.False
}

// ConvertToNative implements ref.Val.
func (m missing) ConvertToNative(reflect.Type) (any, error) {
	return nil, errors.New("missing value has no native form")
}

// ConvertToType implements ref.Val.
func (m missing) ConvertToType(ref.Type) ref.Val {
	return types.False
}

// Equal implements ref.Val.
func (m missing) Equal(ref.Val) ref.Val {
	return types.False
}

// Type implements ref.Val.
func (m missing) Type() ref.Type {
	return types.UnknownType
}

// Value implements ref.Val.
func (m missing) Value() any {
	return nil
}

func isMissing(v ref.Val) bool {
	_, ok := v.(missing)
	return ok
}

// element returns v as it is kept in a list or a map, where a missing member is null.
func element(v ref.Val) ref.Val {
	if isMissing(v) {
		return types.NullValue
	}
	return v
}

func isError(v ref.Val) bool {
	_, ok := v.(*types.Err)
	return ok
}

// fail returns an error value that remembers its node.
func fail(at int64, format string, args ...any) ref.Val {
	return types.NewErrWithNodeID(at, format, args...)
}

// placed returns v, having noted the node on it if it is an error of cel-go that has none. It copies, because cel-go
// shares some of its errors between evaluations.
func placed(at int64, v ref.Val) ref.Val {
	failure, ok := v.(*types.Err)
	if !ok || failure.NodeID() != 0 {
		return v
	}
	return fail(at, "%w", failure.Unwrap())
}

// truthy applies the rules of JavaScript, except that NaN is truthy.
func truthy(v ref.Val) bool {
	switch v := v.(type) {
	case types.Bool:
		return bool(v)
	case types.Null, missing:
		return false
	case types.String:
		return v != ""
	case types.Int:
		return v != 0
	case types.Uint:
		return v != 0
	case types.Double:
		return v != 0
	}
	return true
}

// hashable reports whether v can be looked up in a map. Looking up bytes would panic, anything else is never a key.
func hashable(v ref.Val) bool {
	switch v.(type) {
	case types.String, types.Int, types.Uint, types.Double, types.Bool:
		return true
	}
	return false
}

// whole reports whether d is an integer that an int64 holds.
func whole(d float64) bool {
	return d == math.Trunc(d) && d >= math.MinInt64 && d < math.MaxInt64
}

func typeName(v ref.Val) string {
	switch v.(type) {
	case missing:
		return "missing"
	case types.Null:
		return "null"
	case types.Timestamp:
		return "timestamp"
	case types.Duration:
		return "duration"
	case traits.Lister:
		return "list"
	case traits.Mapper:
		return "map"
	}
	return v.Type().TypeName()
}

// jsonAdapter turns decoded JSON into values without copying it.
type jsonAdapter struct{}

var _ types.Adapter = jsonAdapter{}

// NativeToValue implements types.Adapter. It makes every number a double, so that an event built in Go behaves like
// the same event decoded from JSON.
func (jsonAdapter) NativeToValue(native any) ref.Val {
	switch v := native.(type) {
	case nil:
		return types.NullValue
	case bool:
		return types.Bool(v)
	case string:
		return types.String(v)
	case float64:
		return types.Double(v)
	case map[string]any:
		return types.NewStringInterfaceMap(jsonAdapter{}, v)
	case []any:
		return types.NewList(jsonAdapter{}, v)
	case int:
		return types.Double(v)
	case int64:
		return types.Double(v)
	case json.Number:
		d, err := v.Float64()
		if err != nil {
			return types.NewErr("number %q is out of range", string(v))
		}
		return types.Double(d)
	}
	return adaptOther(native)
}

// adaptOther leaves the rest to cel-go: values that did not come out of a JSON decoder.
func adaptOther(native any) ref.Val {
	switch v := types.DefaultTypeAdapter.NativeToValue(native).(type) {
	case types.Int:
		return types.Double(v)
	case types.Uint:
		return types.Double(v)
	default:
		return v
	}
}
