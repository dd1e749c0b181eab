package expr

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// hugeVars is more data than an event may have, of the kinds that expressions can multiply.
func hugeVars() Vars {
	const size = 50_000
	numbers, objects, keys := make([]any, size), make([]any, size), make(map[string]any, size)
	for i := range size {
		numbers[i] = float64(i)
		objects[i] = map[string]any{"sku": "x", "tags": []any{"a", "b"}}
		keys[strings.Repeat("k", 8)+string(rune('0'+i))] = float64(i)
	}
	var deep any = "bottom"
	for range 9_000 {
		deep = []any{deep}
	}
	return Vars{
		Event: map[string]any{
			"l": numbers, "objects": objects, "m": keys, "deep": deep, "s": strings.Repeat("a", 1<<20),
			"json": `{"a":[` + strings.Repeat("[],", 100_000) + `[]]}`, "p": strings.Repeat("(a|b)?", 80),
		},
		Now: testNow,
	}
}

// enough is longer than any evaluation takes. The slowest take a fraction of a second; the rest is for slow machines
// and the race detector.
const enough = 30 * time.Second

// I1: these would take from minutes to for ever, or all memory.
func TestEvaluationEndsWithinItsCost(t *testing.T) {
	t.Parallel()
	vars := hugeVars()
	for _, source := range []string{
		`event.l.exists(a, event.l.exists(b, event.l.exists(c, a + b + c < 0.0)))`,
		`event.l.map(a, event.l.map(b, event.l)) == null`,
		`event.l.map(a, event.l + event.l).size() == 0`,
		`event.l.exists(a, event.objects == event.objects + [a])`,
		`event.l.exists(a, event.objects == event.objects && false)`,
		`event.l.exists(a, event.m != event.m)`,
		`event.l.exists(a, a in event.objects)`,
		`event.l.exists(a, event.m.exists(k, k == "no"))`,
		`event.l.exists(a, event.s != event.s + "")`,
		`event.l.exists(a, event.s.contains("b"))`,
		`event.l.exists(a, event.s.matches("(a*)*b"))`,
		`event.l.exists(a, event.s.matches(event.p + "b"))`,
		`event.l.exists(a, !"a".matches(event.p))`,
		`event.l.exists(a, ("" + a).matches("x{900}" + a))`,
		`event.l.exists(a, lowercase(event.s) == "a")`,
		`event.l.exists(a, event[event.s] == 1)`,
		`event.l.exists(a, event.s in event)`,
		`event.l.exists(a, {event.s: 1} == 1)`,
		`event.l.exists(a, event.s < event.s)`,
		`event.l.exists(a, int(event.s) == 1)`,
		`event.l.exists(a, date(event.s) == null)`,
		`event.l.exists(a, json_parse(event.json).a == null)`,
		`event.l.exists(a, b64decode(event.s) == "")`,
		`event.l.exists(a, now().getHours("Europe/Ber" + "lin") > 25)`,
		`event.l.exists(a, "" + event.objects == "")`,
		`event.l.exists(a, event.l.exists(b, b < "a")) || true`,
		`event.l.all(a, event.l.all(b, event.l.all(c, true))) || true`,
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			program, err := Compile(source, Full)
			require.NoError(t, err)
			start := time.Now()
			matched, err := program.Match(vars)
			require.False(t, matched)
			require.ErrorContains(t, err, "evaluation takes more than 1000000 steps")
			require.Less(t, time.Since(start), enough)
		})
	}
}

func TestRandomExpressionsOverHugeDataEnd(t *testing.T) {
	t.Parallel()
	huge := hugeVars().Event
	vars := Vars{
		Event: map[string]any{
			"a": huge["s"], "b": huge["m"], "c": huge["json"], "data": huge["objects"], "list": huge["l"],
		},
		Async: map[string]any{"data": map[string]any{"a": huge["p"], "list": huge["deep"], "data": huge}},
		Now:   testNow,
	}
	rapid.Check(t, func(t *rapid.T) {
		program, err := Compile("event.list.map(i, "+genUntyped(3).Draw(t, "source")+")", Full)
		if err != nil {
			requireProblem(t, err)
			return
		}
		start := time.Now()
		if _, err := program.Key(vars); err != nil {
			requireProblem(t, err)
		}
		require.Less(t, time.Since(start), enough)
	})
}

func TestValuesBuiltAreBounded(t *testing.T) {
	t.Parallel()
	vars := hugeVars()
	for source, want := range map[string]string{
		`event.s + event.s`:               `1:9: text is longer than 1048576 bytes`,
		`bytes(event.s) + bytes(event.s)`: `1:16: text is longer than 1048576 bytes`,
		`"x" + event.objects`:             `1:5: text is longer than 1048576 bytes`,
		`event.deep == event.deep`:        `nested deeper than 1000 levels`,
		`"" + event.deep`:                 `nested deeper than 1000 levels`,
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			program, err := Compile(source, Full)
			require.NoError(t, err)
			matched, err := program.Match(vars)
			require.False(t, matched)
			require.ErrorContains(t, err, want)
		})
	}
	program, err := Compile(`[event.objects, event.objects]`, Full)
	require.NoError(t, err)
	_, err = program.Key(vars)
	require.ErrorContains(t, err, `text is longer than 1048576 bytes`)
}

func TestLargeEventsMayBeScanned(t *testing.T) {
	t.Parallel()
	vars := hugeVars()
	for _, source := range []string{
		`!event.objects.exists(o, o.sku == "y" && o.tags[0] == "a")`,
		`event.objects.all(o, "a" in o.tags)`,
		`event.l.filter(n, n >= 49999.0).size() == 1`,
		`event.objects == event.objects`,
		`event.s.contains("a") && event.s.matches("^a+$") && event.s == event.s`,
		`"no" in event.m || 49999 in event.l`,
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			program, err := Compile(source, Full)
			require.NoError(t, err)
			matched, err := program.Match(vars)
			require.NoError(t, err)
			require.True(t, matched)
		})
	}
}
