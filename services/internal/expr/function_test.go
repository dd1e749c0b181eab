package expr

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"github.com/stretchr/testify/require"
)

func TestFunctionsAndMacrosOfPlainCEL(t *testing.T) {
	t.Parallel()
	requireVectors(t, vectorVars(t), []vector{
		{`size("añb")`, 3},
		{`"abc".endsWith("c")`, true},
		{`"abc".matches("[0-9]" + "+")`, false},
		{`matches("a1", "[0-9]")`, true},
		{`5.matches("[0-9]")`, errorResult{}},
		{`event.data.m.matches("[0-9]")`, false},
		{`string(5)`, "5"},
		{`double("1.5")`, 1.5},
		{`bool("true")`, true},
		{`7 % 4 + 8 / 4 - 1`, 4},
		{`1 / 0`, errorResult{}},
		{`9223372036854775807 + 1`, errorResult{}},
		{`type(event.data.s) == string`, true},
		{`type(event.data.n) == double`, true},
		{`timestamp("2026-01-02T03:04:05Z").getHours()`, 3},
		{`timestamp("2026-01-02T03:04:05Z").getHours("+02:00")`, 5},
		{`timestamp("2026-01-02T03:04:05Z").getFullYear("Nowhere/AtAll")`, errorResult{}},
		{`duration("90m").getMinutes()`, 90},
		{`timestamp("2026-01-03T00:00:00Z") - timestamp("2026-01-02T00:00:00Z") == duration("24h")`, true},
		{`[1, 2, 3].map(i, i > 1, i * 2) == [4, 6]`, true},
		{`[1, 2, 3].map(i, i * 2) == [2, 4, 6]`, true},
		{`[1, 2, 3].exists_one(i, i > 2)`, true},
		{`[1, 2, 3].existsOne(i, i > 1)`, false},
		{`[1, 2].all(i, [3, 4].all(j, i < j))`, true},
		{`[1, 2].map(i, [10].map(i, i + 1)) == [[11], [11]]`, true},
		{`[[1], [2, 3]].exists(i, i.exists(j, j == 3) && i.size() == 2)`, true},
		{`{"a": 1, "b": 2}.exists(k, k == "b")`, true},
		{`event.data.exists(k, k == "list")`, true},
		{`event.data.map(k, k) == ["big", "empty", "list", "n", "nul", "s", "t"]`, true},
		{`{2: 1, "2": 1, true: 1, 1: 1}.map(k, string(k)) == ["true", "1", "2", "2"]`, true},
		{`{1: "one"}[event.data.n - 4.0]`, "one"},
		{`{"a": 1} == {"a": 1.0}`, true},
		{`{"a": 1} == {"b": 1}`, false},
		{`{"a": 1, "a": 2}`, errorResult{}},
		{`{1.5: 1}`, errorResult{}},
		{`"s" in event.data`, true},
		{`"nope" in event.data`, false},
		{`b"x" in event.data`, false},
		{`event.data[b"x"]`, errorResult{}},
		{`"x" in "xyz"`, errorResult{}},
		{`null in [null]`, true},
		{`[1] + [2] == [1, 2]`, true},
		{`b"a" + b"b" == b"ab"`, true},
		{`-event.data.n`, -5.0},
		{`-true`, errorResult{}},
		{`dyn(1)`, 1},
		{`date("2026-01-02") + " is a day"`, "2026-01-02T00:00:00Z is a day"},
		{`type(1) + ""`, "int"},
		{`[event.data.s < 1]`, errorResult{}},
		{`{"a": event.data.s < 1}`, errorResult{}},
		{`[1].map(i, event.data.s < i)`, errorResult{}},
		{`[1].filter(i, event.data.s < i)`, errorResult{}},
		{`[1].exists_one(i, event.data.s < i)`, errorResult{}},
		{`(event.data.s < 1).exists(i, true)`, errorResult{}},
		{`double("NaN") < 1.0 || double("NaN") >= 1.0`, false},
	})
}

func TestExtraFunctions(t *testing.T) {
	t.Parallel()
	requireVectors(t, vectorVars(t), []vector{
		{`lowercase("ÄB")`, "äb"},
		{`"ab".uppercase()`, "AB"},
		{`uppercase(5)`, errorResult{}},
		{`b64decode("YWI")`, "ab"},
		{`b64decode("!")`, errorResult{}},
		{`b64decode("/w==")`, errorResult{}},
		{`json_parse("{\"a\":{\"b\":2}}").a.b`, 2.0},
		{`json_parse("{}").a == null`, true},
		{`json_parse("[1]")`, errorResult{}},
		{`json_parse("null")`, errorResult{}},
		{`json_parse("{")`, errorResult{}},
		{`now() - now_minus("1h") == duration("1h")`, true},
		{`now_plus("1d")`, errorResult{}},
		{`date(now()) == now()`, true},
		{`date(true)`, errorResult{}},
		{`date("yesterday")`, errorResult{}},
		{`date(946684799)`, errorResult{}},
		{`date(1e300)`, errorResult{}},
		{`date(1767312000) == date("2026-01-02")`, true},
		{`date(1767312000.0) == date("2026-01-02")`, true},
		{`date(1767312000000) == date("2026-01-02")`, true},
		{`date(1767312000000000000) == date("2026-01-02")`, true},
	})
}

func TestDateReadsEveryFormatOfTheSpecification(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range []struct {
		text string
		want time.Time
	}{
		{"2026-01-02T03:04:05Z", day},
		{"2026-01-02T04:04:05+01:00", day},
		{"2026-01-02T03:04:05.5Z", day.Add(500 * time.Millisecond)},
		{"2026-01-02T03:04:05", day},
		{"Fri, 02 Jan 2026 03:04:05 UTC", day},
		{"02 Jan 26 03:04 UTC", day.Truncate(time.Minute)},
		{"02 Jan 26 04:04 +0100", day.Truncate(time.Minute)},
		{"Friday, 02-Jan-26 03:04:05 UTC", day},
		{"Fri Jan 02 03:04:05 +0000 2026", day},
		{"Fri Jan  2 03:04:05 UTC 2026", day},
		{"Fri Jan  2 03:04:05 2026", day},
		{"Jan  2 03:04:05", day.AddDate(-2026, 0, 0)},
		{"Jan  2 03:04:05.500", day.AddDate(-2026, 0, 0).Add(500 * time.Millisecond)},
		{"2026-01-02", day.Truncate(24 * time.Hour)},
	} {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			program, err := Compile(`date(event.data.t)`, Full)
			require.NoError(t, err)
			got, err := program.eval(Vars{Event: map[string]any{"data": map[string]any{"t": test.text}}})
			require.NoError(t, err)
			require.IsType(t, types.Timestamp{}, got)
			require.Equal(t, test.want, got.(types.Timestamp).Time)
		})
	}
}

func TestNowIsAnErrorWithoutATime(t *testing.T) {
	t.Parallel()
	program, err := Compile(`now() > date("2026-01-02")`, Full)
	require.NoError(t, err)
	matched, err := program.Match(Vars{})
	require.False(t, matched)
	require.ErrorContains(t, err, "1:1: the current time is not known here")
}

func TestGoNumbersAreDoublesLikeThoseOfJSON(t *testing.T) {
	t.Parallel()
	program, err := Compile(`type(event.n) == double && event.n == 5.0`, Full)
	require.NoError(t, err)
	for _, n := range []any{5, int8(5), int64(5), uint(5), uint64(5), float32(5), 5.0, json.Number("5")} {
		matched, err := program.Match(Vars{Event: map[string]any{"n": n}})
		require.NoError(t, err, "%T", n)
		require.True(t, matched, "%T", n)
	}
	_, err = program.Match(Vars{Event: map[string]any{"n": json.Number("1e999")}})
	require.ErrorContains(t, err, "out of range")
}

func TestMapsThatAreNotDecodedJSONHaveMembersToo(t *testing.T) {
	t.Parallel()
	vars := Vars{Event: map[string]any{"user": map[string]string{"name": "Ann"}, "list": []string{"x"}}}
	requireVectors(t, vars, []vector{
		{`event.user.name`, "Ann"},
		{`event.user.name.first == null`, true},
		{`event.user.missing == null`, true},
		{`event.list[0]`, "x"},
	})
}

func TestErrorsDoNotQuoteWholeTexts(t *testing.T) {
	t.Parallel()
	program, err := Compile(`{event.s: 1, event.s: 2}`, Full)
	require.NoError(t, err)
	_, err = program.Int(Vars{Event: map[string]any{"s": strings.Repeat("ä", 10_000)}})
	require.ErrorContains(t, err, "1:1: map has the key ää")
	require.True(t, utf8.ValidString(err.Error()))
	require.LessOrEqual(t, len(err.Error()), messageBytesMax+len("1:1: …"))
}
