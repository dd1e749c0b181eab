package expr

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Thresholds by which date() tells the unit of a number. What is smaller than the first, the year 2000 in seconds, is
// not taken for a time at all.
const (
	dateSecondsMin = 946_684_800
	dateMillisMin  = 9_999_999_999
	dateNanosMin   = 9_999_999_999_999
)

// dateBytesMax is longer than any text date() understands.
const dateBytesMax = 64

// jsonBytesPerStep is how many bytes of JSON are decoded in a step.
const jsonBytesPerStep = 4

// extraFunctions are the functions we have beyond plain CEL, and those of it we bound differently.
func extraFunctions() []*function {
	return []*function{
		{name: overloads.Matches, argCounts: []int{2}, ofMissing: types.False, call: matches},
		textFunction("lowercase", func(_ *frame, s string) ref.Val { return types.String(strings.ToLower(s)) }),
		textFunction("uppercase", func(_ *frame, s string) ref.Val { return types.String(strings.ToUpper(s)) }),
		textFunction("b64decode", decodeBase64),
		textFunction("json_parse", parseJSON),
		{name: "date", argCounts: []int{1}, ofMissing: types.False, call: toDate},
		{name: "now", argCounts: []int{0}, ofMissing: types.False, call: func(f *frame, _ []ref.Val) ref.Val {
			return nowPlus(f, 0)
		}},
		textFunction("now_plus", func(f *frame, s string) ref.Val { return nowPlusText(f, s, 1) }),
		textFunction("now_minus", func(f *frame, s string) ref.Val { return nowPlusText(f, s, -1) }),
	}
}

// textFunction is a function of one text.
func textFunction(name string, call func(f *frame, s string) ref.Val) *function {
	onText := func(f *frame, args []ref.Val) ref.Val {
		s, ok := args[0].(types.String)
		if !ok {
			return nil
		}
		return call(f, string(s))
	}
	return &function{name: name, argCounts: []int{1}, ofMissing: types.False, call: onText}
}

func decodeBase64(_ *frame, s string) ref.Val {
	decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	switch {
	case err != nil:
		return types.NewErr("decode base64: %w", err)
	case !utf8.Valid(decoded):
		return types.NewErr("decode base64: result is not text")
	}
	return types.String(decoded)
}

func parseJSON(f *frame, s string) ref.Val {
	if !f.spend(len(s) / jsonBytesPerStep) {
		return f.overrunError()
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(s), &object); err != nil {
		return types.NewErr("parse JSON object: %w", err)
	}
	if object == nil {
		return types.NewErr("parse JSON object: value is null")
	}
	return jsonAdapter{}.NativeToValue(object)
}

func nowPlusText(f *frame, s string, sign time.Duration) ref.Val {
	d, err := time.ParseDuration(s)
	if err != nil {
		return types.WrapErr(err)
	}
	return nowPlus(f, sign*d)
}

func nowPlus(f *frame, d time.Duration) ref.Val {
	now, ok := f.now()
	if !ok {
		return types.NewErr("the current time is not known here")
	}
	return types.Timestamp{Time: now.Add(d)}
}

func toDate(_ *frame, args []ref.Val) ref.Val {
	switch v := args[0].(type) {
	case types.Timestamp:
		return v
	case types.String:
		return parseDate(string(v))
	case types.Int:
		return numberDate(int64(v))
	case types.Double:
		if v != v || math.Abs(float64(v)) >= math.MaxInt64 {
			return types.NewErr("date: number is out of range")
		}
		return numberDate(int64(v))
	}
	return nil
}

func numberDate(n int64) ref.Val {
	switch {
	case n < dateSecondsMin:
		return types.NewErr("date: %d is too small for a time", n)
	case n < dateMillisMin:
		return types.Timestamp{Time: time.Unix(n, 0).UTC()}
	case n < dateNanosMin:
		return types.Timestamp{Time: time.UnixMilli(n).UTC()}
	}
	return types.Timestamp{Time: time.Unix(0, n).UTC()}
}

func parseDate(s string) ref.Val {
	if len(s) > dateBytesMax {
		return types.NewErr("date: text of %d bytes is not a date", len(s))
	}
	for _, layout := range dateLayouts() {
		if t, err := time.Parse(layout, s); err == nil {
			return types.Timestamp{Time: t.UTC()}
		}
	}
	return types.NewErr("date: %q is in no known format", s)
}

func dateLayouts() []string {
	return []string{
		time.RFC3339, "2006-01-02T15:04:05", time.RFC1123, time.RFC822, time.RFC822Z, time.RFC850, time.RubyDate,
		time.UnixDate, time.ANSIC, time.Stamp, time.StampMilli, time.DateOnly,
	}
}
