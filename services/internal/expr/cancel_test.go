package expr

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCancelConditionsMayUse(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		`event.data.id == async.data.id`,
		`event.data.id == async.data.id && (async.data.n > 3 || !(async.data.x != "y"))`,
		`async.data["id"] == event.data.list[0]`,
		`async.data.id in ["a", "b"]`,
		`async.data.n >= 1.5 ? async.data.x <= 5u : async.data.y < "z"`,
		`int(async.data.n) == 5 || uint(async.data.n) == 5u || double(async.data.n) == 5.0`,
		`async.data.n == -5`,
		`async.data.nul == null`,
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			_, err := Compile(source, CancelOnly)
			require.NoError(t, err)
		})
	}
}

func TestCancelConditionsMayNotUse(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		source, want string
	}{
		{`async.data.n + 1 == 2`, `1:14: operator + is not allowed in a cancel condition`},
		{`async.data.n - 1 == 2`, `operator - is not allowed`},
		{`async.data.n * 1 == 2`, `operator * is not allowed`},
		{`async.data.n / 1 == 2`, `operator / is not allowed`},
		{`async.data.n % 1 == 2`, `operator % is not allowed`},
		{`-async.data.n == 2`, `operator - is not allowed`},
		{`has(async.data.n)`, `1:1: has() is not allowed in a cancel condition`},
		{`async.data.list.exists(i, i == 1)`, `1:17: exists() is not allowed in a cancel condition`},
		{`async.data.list.all(i, i == 1)`, `all() is not allowed`},
		{`async.data.list.filter(i, i == 1) == []`, `filter() is not allowed`},
		{`async.data.list.map(i, i) == []`, `map() is not allowed`},
		{`lowercase(async.data.s) == "a"`, `1:1: lowercase() is not allowed in a cancel condition`},
		{`size(async.data.s) == 1`, `size() is not allowed`},
		{`async.data.s.contains("x")`, `1:14: contains() is not allowed in a cancel condition`},
		{`async.data.s.matches("x")`, `matches() is not allowed`},
		{`date(async.data.t) == null`, `date() is not allowed`},
		{`now() == null`, `now() is not allowed`},
		{`string(async.data.s) == "x"`, `string() is not allowed`},
		{`async.data.id == foo`, `1:18: unknown variable foo`},
		{`async.data.ok && "text"`, `1:18: expected type 'bool' but found 'string'`},
		{`"text" || async.data.ok`, `1:1: expected type 'bool' but found 'string'`},
		{`1 == "1"`, `found no matching overload for '_==_'`},
		{`1 ? async.data.a : async.data.b`, `found no matching overload for '_?_:_'`},
		{`async.data.id ==`, `1:17: syntax error`},
	} {
		t.Run(test.source, func(t *testing.T) {
			t.Parallel()
			_, err := Compile(test.source, CancelOnly)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestUndefinedMembersOfTheEventAreNullInCancelConditionsOnly(t *testing.T) {
	t.Parallel()
	vars := Vars{
		Event: decode(t, `{"data":{"list":[]}}`),
		Async: decode(t, `{"data":{"nul":null,"key":"id","id":"x"}}`),
	}
	for _, test := range []struct {
		source       string
		cancel, full bool
	}{
		{`event.data.id == async.data.nul`, true, true},
		{`event.data.id == async.data.missing`, true, false},
		{`event.data[async.data.key] == async.data.missing`, true, false},
		{`event.data.id.deep == async.data.missing`, true, false},
		{`event.data.list[0] == async.data.missing`, true, false},
		{`event.data[async.data.key].deep == async.data.missing`, true, false},
		{`event.data.id < -5`, false, true},
		{`event.data.id == async.data.id`, false, false},
		{`async.data.missing == async.data.other`, false, false},
	} {
		t.Run(test.source, func(t *testing.T) {
			t.Parallel()
			for policy, want := range map[Policy]bool{CancelOnly: test.cancel, Full: test.full} {
				program, err := Compile(test.source, policy)
				require.NoError(t, err)
				matched, err := program.Match(vars)
				require.NoError(t, err)
				require.Equal(t, want, matched, "policy %d", policy)
			}
		})
	}
}

func TestCompilingIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	for range 8 {
		t.Run("compile", func(t *testing.T) {
			t.Parallel()
			for range 50 {
				_, err := Compile(`event.data.id == async.data.id && async.data.n > 3`, CancelOnly)
				require.NoError(t, err)
			}
		})
	}
}
