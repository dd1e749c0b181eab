package expr

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// textStyle says how values are turned into text.
type textStyle int

const (
	// printStyle is what + makes of an operand: the form in which Go prints values.
	printStyle textStyle = iota
	// keyStyle is the text of a key. Whole numbers are in plain digits, and every text within a list or a map is quoted,
	// so that different values have different texts.
	keyStyle
)

// exactIntegerMax is the magnitude up to which every integer is a double, so that int and double have the same digits.
const exactIntegerMax = 1 << 53

// renderer builds the text of one value.
type renderer struct {
	frame *frame
	style textStyle
	text  strings.Builder
}

// renderText returns the text of v, or the error to end with.
func renderText(f *frame, v ref.Val, style textStyle) (string, ref.Val) {
	r := renderer{frame: f, style: style}
	if failure := r.write(v, 0); failure != nil {
		return "", failure
	}
	return r.text.String(), nil
}

func (r *renderer) write(v ref.Val, depth int) ref.Val {
	if depth > dataDepthMax {
		return types.NewErr("value is nested deeper than %d levels", dataDepthMax)
	}
	switch v := v.(type) {
	case *types.Err:
		return v
	case traits.Lister:
		return r.writeList(v, depth)
	case traits.Mapper:
		return r.writeMap(v, depth)
	}
	text := r.scalar(v)
	if r.style == keyStyle && depth > 0 {
		text = quoted(v, text)
	}
	return r.append(text)
}

func (r *renderer) append(text string) ref.Val {
	if r.text.Len()+len(text) > textBytesMax {
		return types.NewErr("text is longer than %d bytes", textBytesMax)
	}
	if !r.frame.spend(1 + len(text)/bytesPerStep) {
		return r.frame.overrunError()
	}
	r.text.WriteString(text)
	return nil
}

func (r *renderer) writeList(l traits.Lister, depth int) ref.Val {
	separator := ","
	if r.style == printStyle {
		separator = " "
	}
	if failure := r.append("["); failure != nil {
		return failure
	}
	for i := range types.Int(listSize(l)) {
		if i > 0 {
			if failure := r.append(separator); failure != nil {
				return failure
			}
		}
		if failure := r.write(l.Get(i), depth+1); failure != nil {
			return failure
		}
	}
	return r.append("]")
}

func (r *renderer) writeMap(m traits.Mapper, depth int) ref.Val {
	open, separator, end := "{", ",", "}"
	if r.style == printStyle {
		open, separator, end = "map[", " ", "]"
	}
	keys, failure := sortedKeys(r.frame, m)
	if failure != nil {
		return failure
	}
	if failure := r.append(open); failure != nil {
		return failure
	}
	for i, key := range keys {
		if i > 0 {
			if failure := r.append(separator); failure != nil {
				return failure
			}
		}
		if failure := r.writeEntry(m, key, depth); failure != nil {
			return failure
		}
	}
	return r.append(end)
}

func (r *renderer) writeEntry(m traits.Mapper, key ref.Val, depth int) ref.Val {
	if failure := r.write(key, depth+1); failure != nil {
		return failure
	}
	if failure := r.append(":"); failure != nil {
		return failure
	}
	value, _ := m.Find(key)
	return r.write(value, depth+1)
}

func (r *renderer) scalar(v ref.Val) string {
	switch v := v.(type) {
	case types.String:
		return string(v)
	case types.Bool:
		return strconv.FormatBool(bool(v))
	case types.Int:
		return strconv.FormatInt(int64(v), 10)
	case types.Uint:
		return strconv.FormatUint(uint64(v), 10)
	case types.Double:
		return r.double(float64(v))
	case types.Null:
		if r.style == printStyle {
			return "NULL_VALUE"
		}
		return "null"
	case types.Bytes:
		return base64.StdEncoding.EncodeToString(v)
	case types.Timestamp:
		return v.UTC().Format(time.RFC3339Nano)
	case types.Duration:
		return v.String()
	case *types.Type:
		return v.TypeName()
	}
	return typeName(v)
}

func (r *renderer) double(d float64) string {
	if r.style == keyStyle && whole(d) && d >= -exactIntegerMax && d <= exactIntegerMax {
		return strconv.FormatInt(int64(d), 10)
	}
	return strconv.FormatFloat(d, 'g', -1, 64)
}

// quoted tells texts, and the other scalars that look like them, from numbers and from each other.
func quoted(v ref.Val, text string) string {
	switch v.(type) {
	case types.String:
		return strconv.Quote(text)
	case types.Bytes:
		return "b" + strconv.Quote(text)
	case types.Timestamp:
		return "t" + strconv.Quote(text)
	case types.Duration:
		return "d" + strconv.Quote(text)
	}
	return text
}
