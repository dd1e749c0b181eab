package expr

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompileSaysWhereTheProblemIs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		source, want string
	}{
		{``, `1:1: expression is empty`},
		{"  \n", `1:1: expression is empty`},
		{`event.data.n >`, `1:15: syntax error: mismatched input '<EOF>' expecting expression`},
		{`event.data.n === 3`, `1:16: syntax error: unexpected token`},
		{"event.data.n > 3 &&\n  foo == 1", `2:3: unknown variable foo`},
		{`event.data.é`, `1:12: syntax error: unexpected character`},
		{`"é" == foo`, `1:8: unknown variable foo`},
		{`.event.data`, `1:1: unknown variable .event`},
		{`math.greatest(1, 2)`, `1:6: unknown function greatest`},
		{`event.data.s == frobnicate(1)`, `1:17: unknown function frobnicate`},
		{`event.data.s.frobnicate (1)`, `1:14: unknown function frobnicate`},
		{`size(1, 2)`, `1:1: wrong number of arguments for size`},
		{`now(1)`, `1:1: wrong number of arguments for now`},
		{`event.data.s.contains()`, `1:14: wrong number of arguments for contains`},
		{`event.data.s.matches("(")`, "1:14: regular expression: error parsing regexp: missing closing ): `(`"},
		{`event.data.list.exists(i.j, true)`, `1:25: first argument of exists must be a name for the element`},
		{`event.data.list.exists(i, j)`, `1:27: unknown variable j`},
		{`event.data.list.exists(i, true) && i`, `1:36: unknown variable i`},
		{`event.data.list.exists(true)`, `1:17: unknown function exists`},
		{`has(event)`, `1:1: has() takes one member, as in has(event.data.id)`},
		{`has(event["data"])`, `1:1: has() takes one member, as in has(event.data.id)`},
		{`Foo{a: 1}`, `1:4: messages such as Foo{} are not supported`},
		{`event.?data`, `1:6: unsupported syntax '.?'`},
		{`"abc`, `1:1: syntax error: `},
		{"\"\xff\"", `1:1: expression is not valid UTF-8`},
	} {
		t.Run(test.source, func(t *testing.T) {
			t.Parallel()
			_, err := Compile(test.source, Full)
			require.ErrorContains(t, err, test.want)
			var problem *Error
			require.ErrorAs(t, err, &problem)
			require.Equal(t, test.source, problem.Source)
			require.NotEmpty(t, problem.Message)
		})
	}
}

func TestCompileRefusesWhatExceedsALimit(t *testing.T) {
	t.Parallel()
	const fits = 1000
	for _, test := range []struct {
		name, source, want string
	}{
		{"source", `"` + strings.Repeat("x", sourceBytesMax) + `"`, "more than 4096"},
		{"100k parentheses", strings.Repeat("(", 100_000) + "1" + strings.Repeat(")", 100_000), "more than 4096"},
		{"parentheses", strings.Repeat("(", fits) + "1" + strings.Repeat(")", fits), "nested deeper than 200"},
		{"open parentheses", strings.Repeat("(", fits), "nested deeper than 200"},
		{"lists", strings.Repeat("[", fits) + strings.Repeat("]", fits), "nested deeper than 200"},
		{"maps", strings.Repeat("{1:", fits) + "1" + strings.Repeat("}", fits), "nested deeper than 200"},
		{"calls", strings.Repeat("int(", 500) + "1" + strings.Repeat(")", 500), "nested deeper than 200"},
		{"indexes", strings.Repeat("event[", 500) + "1" + strings.Repeat("]", 500), "nested deeper than 200"},
		{"members", "event" + strings.Repeat(".a", fits), "nested deeper than 200"},
		{"sum", "1" + strings.Repeat("+1", fits), "nested deeper than 200"},
		{"ternaries", strings.Repeat("1?1:", fits) + "1", "nested deeper than 200"},
		{"negations", strings.Repeat("!(", fits) + "1" + strings.Repeat(")", fits), "nested deeper than 200"},
		{"pattern text", `"".matches("` + strings.Repeat("x", patternBytesMax+1) + `")`, "more than 512"},
		{"pattern size", `"".matches("` + strings.Repeat("x{1000}", 70) + `")`, "more than 2000"},
		{"pattern nesting", `"".matches("((x{1000}){1000}){1000}")`, "invalid repeat count"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := Compile(test.source, Full)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestCompileAcceptsLongFlatExpressions(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"or":        `event.a == 1` + strings.Repeat(` || event.a == 1`, 200),
		"list":      `event.a in [1` + strings.Repeat(`, 1`, 1000) + `]`,
		"negations": strings.Repeat("!", 2000) + "true",
		"sum":       `1` + strings.Repeat(` + 1`, 150),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program, err := Compile(source, Full)
			require.NoError(t, err)
			_, err = program.eval(Vars{})
			require.NoError(t, err)
		})
	}
}

func TestSourceReturnsTheTextCompiled(t *testing.T) {
	t.Parallel()
	const text = " event.data.n  > 3\n"
	program, err := Compile(text, Full)
	require.NoError(t, err)
	require.Equal(t, text, program.Source())
}

func TestNamesOfMacrosHideVariables(t *testing.T) {
	t.Parallel()
	requireVectors(t, vectorVars(t), []vector{
		{`[1].exists(event, event == 1)`, true},
		{`[1].exists(i, [2].exists(i, i == 2) && i == 1)`, true},
		{`[1].exists(i, true) && [2].exists(j, j == 2)`, true},
		{`[1].exists(int, int(int) == 1)`, true},
	})
}

func TestProgramsAreSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	program, err := Compile(`event.list.exists(i, i.n < "a" || i.n > 2) && event.s < 1`, Full)
	require.NoError(t, err)
	vars := Vars{Event: decode(t, `{"list":[{"n":1},{"n":3}],"s":"x"}`)}
	const goroutineCount, matchCount = 8, 200
	failures := make([][]error, goroutineCount)
	var wait sync.WaitGroup
	for i := range failures {
		wait.Go(func() {
			for range matchCount {
				_, err := program.Match(vars)
				failures[i] = append(failures[i], err)
			}
		})
	}
	wait.Wait()
	for _, err := range slices.Concat(failures...) {
		require.EqualError(t, err, "1:55: no such overload: string < int")
	}
}
