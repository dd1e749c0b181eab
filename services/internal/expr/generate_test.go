package expr

import (
	"encoding/json"
	"strconv"

	"pgregory.net/rapid"
)

// Generators of random data and expressions. Names are few, so that expressions find the data.

func genName() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"a", "b", "c", "data", "list"})
}

// genData generates decoded JSON of some depth.
func genData(depth int) *rapid.Generator[any] {
	scalar := rapid.OneOf(
		rapid.Just[any](nil),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.Float64Range(-3, 1e15), func(d float64) any { return d }),
		rapid.Map(rapid.IntRange(-2, 5), func(n int) any { return float64(n) }),
		rapid.Map(rapid.StringN(0, 8, -1), func(s string) any { return s }),
		rapid.SampledFrom([]any{"a", "5", "true", "2026-01-02", "1h", "YQ==", `{"a":[1]}`, "^a+$", "("}),
	)
	if depth == 0 {
		return scalar
	}
	inner := genData(depth - 1)
	return rapid.OneOf(
		scalar,
		rapid.Map(rapid.SliceOfN(inner, 0, 4), func(l []any) any { return l }),
		rapid.Map(rapid.MapOfN(genName(), inner, 0, 4), func(m map[string]any) any { return m }),
	)
}

func genVars() *rapid.Generator[Vars] {
	return rapid.Custom(func(t *rapid.T) Vars {
		object := rapid.MapOfN(genName(), genData(3), 0, 5)
		return Vars{
			Event: object.Draw(t, "event"),
			Async: rapid.OneOf(rapid.Just[map[string]any](nil), object).Draw(t, "async"),
			Now:   testNow,
		}
	})
}

// genUntyped generates expressions whose syntax is right and whose types need not be.
func genUntyped(depth int) *rapid.Generator[string] {
	leaf := rapid.OneOf(
		rapid.SampledFrom([]string{
			"event", "async", "vars", "i", "null", "true", "false", "0", "1", "-1", "5u", "1.5", "1e300", "[]", "{}",
			`""`, `"a"`, `b"a"`, `"1h"`, "now()", "int", "9223372036854775807", `duration("1h")`, `"(a*)*"`,
		}),
		rapid.Map(genName(), func(n string) string { return "event." + n }),
		rapid.Map(genName(), func(n string) string { return "async.data." + n }),
	)
	if depth == 0 {
		return leaf
	}
	inner := rapid.Deferred(func() *rapid.Generator[string] { return genUntyped(depth - 1) })
	return rapid.OneOf(leaf, genOperation(inner), genOperation(inner), genCall(inner), genMacro(inner))
}

func genOperation(inner *rapid.Generator[string]) *rapid.Generator[string] {
	operator := rapid.SampledFrom([]string{
		"+", "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in",
	})
	return rapid.Custom(func(t *rapid.T) string {
		a, b, c := inner.Draw(t, "a"), inner.Draw(t, "b"), inner.Draw(t, "c")
		switch rapid.IntRange(0, 9).Draw(t, "shape") {
		case 0:
			return "!(" + a + ")"
		case 1:
			return "-(" + a + ")"
		case 2:
			return "(" + a + ") ? (" + b + ") : (" + c + ")"
		case 3:
			return "(" + a + ")[" + b + "]"
		case 4:
			return "(" + a + ")." + genName().Draw(t, "field")
		case 5:
			return "[" + a + ", " + b + "]"
		case 6:
			return "{" + a + ": " + b + "}"
		}
		return "(" + a + ") " + operator.Draw(t, "operator") + " (" + b + ")"
	})
}

func genCall(inner *rapid.Generator[string]) *rapid.Generator[string] {
	unary := rapid.SampledFrom([]string{
		"size", "type", "bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "uint", "lowercase",
		"uppercase", "b64decode", "json_parse", "date", "now_plus", "now_minus", "getHours", "getFullYear",
		"getMilliseconds", "getDate",
	})
	binary := rapid.SampledFrom([]string{"contains", "startsWith", "endsWith", "matches", "getHours", "getDayOfWeek"})
	return rapid.Custom(func(t *rapid.T) string {
		a, b := inner.Draw(t, "a"), inner.Draw(t, "b")
		if rapid.Bool().Draw(t, "unary") {
			return unary.Draw(t, "function") + "(" + a + ")"
		}
		return "(" + a + ")." + binary.Draw(t, "function") + "(" + b + ")"
	})
}

func genMacro(inner *rapid.Generator[string]) *rapid.Generator[string] {
	macro := rapid.SampledFrom([]string{"exists", "all", "exists_one", "filter", "map"})
	return rapid.Custom(func(t *rapid.T) string {
		a, b := inner.Draw(t, "over"), inner.Draw(t, "body")
		if rapid.IntRange(0, 4).Draw(t, "has") == 0 {
			return "has((" + a + ").a)"
		}
		return "(" + a + ")." + macro.Draw(t, "macro") + "(i, " + b + ")"
	})
}

// typed generates expressions that plain CEL accepts: every operand is present and of a type its operator takes.
type typed struct {
	numbers, texts, booleans, lists *rapid.Generator[string]
}

// typedEvent is the data typed expressions read.
const typedEvent = `{"n":5,"half":0.5,"s":"Ab","ok":true,"l":[1,2,2.5],"o":{"l":[1]}}`

func genTyped(depth int) typed {
	leaves := typed{
		numbers: rapid.OneOf(
			rapid.SampledFrom([]string{"event.n", "event.half", `event["n"]`, "event.l[0]", "event.o.l[0]"}),
			rapid.Map(rapid.IntRange(0, 9), func(n int) string { return strconv.Itoa(n) + ".0" }),
		),
		texts: rapid.OneOf(
			rapid.SampledFrom([]string{"event.s", `""`, `"A"`}),
			rapid.Map(rapid.StringN(0, 4, -1), quoteCEL),
		),
		booleans: rapid.SampledFrom([]string{"event.ok", "true", "false", "has(event.s)", "has(event.z)"}),
		lists:    rapid.SampledFrom([]string{"event.l", "event.o.l", "[1.0, 2.0]", "[]"}),
	}
	if depth == 0 {
		return leaves
	}
	in := genTyped(depth - 1)
	return typed{
		numbers: rapid.OneOf(
			leaves.numbers,
			infix(in.numbers, in.numbers, "+", "-", "*", "/"),
			choice(in.booleans, in.numbers),
			rapid.Map(in.texts, func(s string) string { return "double(size(" + s + "))" }),
			rapid.Map(in.lists, func(l string) string { return "(" + l + ")[0]" }),
		),
		texts: rapid.OneOf(leaves.texts, infix(in.texts, in.texts, "+"), choice(in.booleans, in.texts),
			rapid.Map(in.numbers, func(n string) string { return "string(" + n + ")" })),
		booleans: rapid.OneOf(
			leaves.booleans,
			infix(in.booleans, in.booleans, "&&", "||", "==", "!="),
			infix(in.numbers, in.numbers, "<", "<=", ">", ">=", "==", "!="),
			infix(in.texts, in.texts, "<", ">=", "==", "!="),
			infix(in.lists, in.lists, "==", "!="),
			infix(in.numbers, in.lists, "in"),
			infix(in.numbers, in.texts, "==", "!="),
			rapid.Map(in.booleans, func(b string) string { return "!(" + b + ")" }),
			quantified(in.lists, in.booleans),
			quantified(in.lists, infix(rapid.Just("i"), in.numbers, "<", "==")),
		),
		lists: rapid.OneOf(
			leaves.lists,
			infix(in.lists, in.lists, "+"),
			rapid.Map(in.numbers, func(n string) string { return "[" + n + ", 1.0]" }),
			rapid.Map(in.lists, func(l string) string { return "(" + l + ").map(i, i + 1.0)" }),
			rapid.Map(in.lists, func(l string) string { return "(" + l + ").filter(i, i > 1.0)" }),
		),
	}
}

func infix(left, right *rapid.Generator[string], operators ...string) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		operator := rapid.SampledFrom(operators).Draw(t, "operator")
		return "(" + left.Draw(t, "left") + ") " + operator + " (" + right.Draw(t, "right") + ")"
	})
}

func choice(condition, branch *rapid.Generator[string]) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		then, otherwise := branch.Draw(t, "then"), branch.Draw(t, "otherwise")
		return "(" + condition.Draw(t, "condition") + ") ? (" + then + ") : (" + otherwise + ")"
	})
}

func quantified(list, condition *rapid.Generator[string]) *rapid.Generator[string] {
	macro := rapid.SampledFrom([]string{"exists", "all", "exists_one"})
	return rapid.Custom(func(t *rapid.T) string {
		body := condition.Draw(t, "condition")
		return "(" + list.Draw(t, "list") + ")." + macro.Draw(t, "macro") + "(i, " + body + ")"
	})
}

// quoteCEL relies on the escapes of JSON being escapes of CEL.
func quoteCEL(s string) string {
	quoted, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(quoted)
}
