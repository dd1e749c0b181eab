package expr

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMatchIsTrueForTheBooleanTrueOnly(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		source string
		want   bool
		why    string
	}{
		{`event.data.n > 3`, true, ``},
		{`event.data.n > 5`, false, ``},
		{`event.data.missing`, false, ``},
		{`event.data.missing.exists(i, true)`, false, ``},
		{`event.data.s`, false, `1:1: result is string, not bool`},
		{`event.data.n`, false, `1:1: result is double, not bool`},
		{`event.data.nul`, false, `1:1: result is null, not bool`},
		{`event.data.list`, false, `1:1: result is list, not bool`},
		{`event.data`, false, `1:1: result is map, not bool`},
		{`now()`, false, `1:1: result is timestamp, not bool`},
		{`event.data.s < 1`, false, `1:14: no such overload: string < int`},
		{`true && event.data.n * 2 > 5`, false, `1:22: no such overload: double * int`},
		{`!event.data.s`, false, `1:1: no such overload: !(string)`},
		{`event.data.list[3]`, false, `1:16: index 3 is out of range in a list of 1`},
		{`event.data.s.contains(5)`, false, `1:14: no such overload: contains(string, int)`},
	} {
		t.Run(test.source, func(t *testing.T) {
			t.Parallel()
			program, err := Compile(test.source, Full)
			require.NoError(t, err)
			got, err := program.Match(vectorVars(t))
			require.Equal(t, test.want, got)
			if test.why == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, test.why)
			var problem *Error
			require.ErrorAs(t, err, &problem)
			require.Equal(t, test.source, problem.Source)
		})
	}
}

func TestKeyIsTheResultAsText(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		source string
		want   Key
	}{
		{`event.data.s`, Key{Text: "Ab"}},
		{`event.data.n`, Key{Text: "5"}},
		{`1.0`, Key{Text: "1"}},
		{`42`, Key{Text: "42"}},
		{`42u`, Key{Text: "42"}},
		{`event.data.big`, Key{Text: "1000000"}},
		{`-1.5`, Key{Text: "-1.5"}},
		{`1e300`, Key{Text: "1e+300"}},
		{`true`, Key{Text: "true"}},
		{`false`, Key{Text: "false", IsFalse: true}},
		{`event.data.missing`, Key{Text: "false", IsFalse: true}},
		{`"false"`, Key{Text: "false"}},
		{`""`, Key{Text: ""}},
		{`0`, Key{Text: "0"}},
		{`event.data.nul`, Key{Text: "null"}},
		{`event.data.s + "-" + event.data.n`, Key{Text: "Ab-5"}},
		{`date("2026-01-02")`, Key{Text: "2026-01-02T00:00:00Z"}},
		{`duration("90s")`, Key{Text: "1m30s"}},
		{`b"ab"`, Key{Text: "YWI="}},
		{`type(1)`, Key{Text: "int"}},
		{`[1, 1.5, "a b", "", null, true]`, Key{Text: `[1,1.5,"a b","",null,true]`}},
		{`{"b": 1, "a": {"c": []}}`, Key{Text: `{"a":{"c":[]},"b":1}`}},
		{`[b"ab", date("2026-01-02"), duration("1s")]`, Key{Text: `[b"YWI=",t"2026-01-02T00:00:00Z",d"1s"]`}},
		{`event.data.list`, Key{Text: `["x"]`}},
	} {
		t.Run(test.source, func(t *testing.T) {
			t.Parallel()
			program, err := Compile(test.source, Full)
			require.NoError(t, err)
			got, err := program.Key(vectorVars(t))
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestKeysOfDifferentListsAndMapsDiffer(t *testing.T) {
	t.Parallel()
	seen := make(map[string]string)
	for _, source := range []string{
		`["a b"]`, `["a", "b"]`, `["a,b"]`, `["a\",\"b"]`, `[["a"], "b"]`, `[["a", "b"]]`, `[]`, `[[]]`, `{}`, `[{}]`,
		`[1]`, `["1"]`, `[true]`, `["true"]`, `[null]`, `["null"]`, `[""]`, `{"a": 1}`, `{"a": "1"}`, `{1: 1}`,
		`{"1": 1}`, `{"a": 1, "b": 2}`, `{"a": "1,b:2"}`, `[b"YQ"]`, `["YQ"]`, `[1.5]`, `[date("2026-01-02")]`,
		`["2026-01-02T00:00:00Z"]`, `[duration("1s")]`, `["1s"]`,
	} {
		program, err := Compile(source, Full)
		require.NoError(t, err)
		key, err := program.Key(Vars{})
		require.NoError(t, err)
		require.NotContains(t, seen, key.Text, source)
		seen[key.Text] = source
	}
}

func TestKeyFailsWithTheEvaluation(t *testing.T) {
	t.Parallel()
	program, err := Compile(`event.data.list[3]`, Full)
	require.NoError(t, err)
	key, err := program.Key(vectorVars(t))
	require.EqualError(t, err, `1:16: index 3 is out of range in a list of 1`)
	require.Zero(t, key)
}

func TestIntAcceptsWholeNumbers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		source string
		want   int64
		why    string
	}{
		{`event.data.n > 3 ? 120 : 0`, 120, ``},
		{`-600`, -600, ``},
		{`int(event.data.n)`, 5, ``},
		{`event.data.n`, 5, ``},
		{`120u`, 120, ``},
		{`1.5`, 0, `1:1: result 1.5 is not a whole number in range`},
		{`1e19`, 0, `1:1: result 1e+19 is not a whole number in range`},
		{`18446744073709551615u`, 0, `1:1: result 18446744073709551615 is not a whole number in range`},
		{`double("NaN")`, 0, `1:1: result NaN is not a whole number in range`},
		{`event.data.s`, 0, `1:1: result is string, not a whole number`},
		{`event.data.missing`, 0, `1:1: result is bool, not a whole number`},
		{`event.data.s < 1 ? 1 : 2`, 0, `1:14: no such overload: string < int`},
	} {
		t.Run(test.source, func(t *testing.T) {
			t.Parallel()
			program, err := Compile(test.source, Full)
			require.NoError(t, err)
			got, err := program.Int(vectorVars(t))
			require.Equal(t, test.want, got)
			if test.why == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, test.why)
		})
	}
}
