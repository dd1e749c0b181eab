package expr

import (
	"fmt"
	"testing"

	"cel.dev/cel-go/cel"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// I2 and, with it, that results do not depend on anything but the variables.
func TestCompilingAndEvaluatingNeverPanics(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		source := genUntyped(4).Draw(t, "source")
		policy := rapid.SampledFrom([]Policy{Full, Full, Full, CancelOnly}).Draw(t, "policy")
		vars := genVars().Draw(t, "vars")
		program, err := Compile(source, policy)
		if err != nil {
			requireProblem(t, err)
			return
		}
		matched, err := program.Match(vars)
		again, errAgain := program.Match(vars)
		require.Equal(t, matched, again)
		require.Equal(t, err, errAgain)
		if err != nil {
			require.False(t, matched)
			requireProblem(t, err)
		}
		if _, err := program.Key(vars); err != nil {
			requireProblem(t, err)
		}
		if _, err := program.Int(vars); err != nil {
			requireProblem(t, err)
		}
	})
}

func TestCompilingAnyTextNeverPanics(t *testing.T) {
	t.Parallel()
	fragments := rapid.SampledFrom([]string{
		"event", ".", "(", ")", "[", "]", "{", "}", "?", ":", "!", "-", "+", "&&", "||", "in", "1", "1u", "0x", "1e", "'",
		`"`, `"""`, `r"`, `b'`, "\\", "`", "//", "\n", " ", ",", "null", "has", "exists", "é", "\x00", "\xff", "if", "@",
	})
	rapid.Check(t, func(t *rapid.T) {
		source := ""
		for _, s := range rapid.SliceOfN(fragments, 0, 40).Draw(t, "fragments") {
			source += s
		}
		source += rapid.StringN(0, 10, -1).Draw(t, "tail")
		for _, policy := range []Policy{Full, CancelOnly} {
			program, err := Compile(source, policy)
			if err != nil {
				requireProblem(t, err)
				continue
			}
			if _, err := program.eval(Vars{}); err != nil {
				requireProblem(t, err)
			}
		}
	})
}

// requireProblem checks what every error promises.
func requireProblem(t *rapid.T, err error) {
	var problem *Error
	require.ErrorAs(t, err, &problem)
	require.Positive(t, problem.Line)
	require.Positive(t, problem.Column)
	require.NotEmpty(t, problem.Message)
}

// I3, with the interpreter of cel-go as the judge. Nothing is said about what plain CEL finds to be an error.
func TestResultsArePlainCELsWhereThatHasAny(t *testing.T) {
	t.Parallel()
	env, err := cel.NewEnv(cel.Variable("event", cel.DynType))
	require.NoError(t, err)
	event := decode(t, typedEvent)
	compared := 0
	rapid.Check(t, func(t *rapid.T) {
		in := genTyped(3)
		source := rapid.OneOf(in.booleans, in.numbers, in.texts, in.lists).Draw(t, "source")
		program, err := Compile(source, Full)
		if err != nil {
			requireProblem(t, err)
			require.ErrorContains(t, err, "more than")
			return
		}
		parsed, issues := env.Parse(source)
		require.NoError(t, issues.Err())
		reference, err := env.Program(parsed)
		require.NoError(t, err)
		want, _, err := reference.Eval(map[string]any{"event": event})
		if err != nil {
			return
		}
		got, err := program.eval(Vars{Event: event})
		require.NoError(t, err)
		require.Equal(t, want.Type(), got.Type())
		// As text, because NaN is not equal to itself.
		require.Equal(t, fmt.Sprint(want), fmt.Sprint(got))
		compared++
	})
	require.Positive(t, compared)
}
