package expr_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stepwell/stepwell/services/internal/expr"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func TestEqualities(t *testing.T) {
	t.Parallel()
	trigger := map[string]any{"data": map[string]any{"id": "a", "n": 7.0, "list": []any{1.0}}}
	id := stepwell.Equality{Path: []string{"data", "id"}, Value: "a"}
	for source, want := range map[string][]stepwell.Equality{
		`async.data.id == event.data.id`:                     {id},
		`event.data.id == async.data.id && async.data.n > 3`: {id},
		`async.data.n == 7 && async.data.id == "a"`:          {id, {Path: []string{"data", "n"}, Value: 7.0}},
		`async.data.id == "a" && async.data.id == "a"`:       {id},
		`async.data.ok == true && (async.user.x == null && async.data.id == 'a')`: {
			id, {Path: []string{"data", "ok"}, Value: true}, {Path: []string{"user", "x"}, Value: nil},
		},
		`async.data.id == event.data.missing`:       {{Path: []string{"data", "id"}, Value: nil}},
		`async.data.id == "a" || async.data.n == 7`: nil,
		`!(async.data.id == "a")`:                   nil,
		`async.data.id != "a"`:                      nil,
		`async.data.list == event.data.list`:        nil,
		`async.data.id == async.data.other`:         nil,
		`async.data.id == "a" ? true : false`:       nil,
		`async.data["a.b"] == 1`:                    nil,
		`async.data.id == event.data.id + "x"`:      nil,
		`[async.data.id == "a"].exists(x, x)`:       nil,
	} {
		program, err := expr.Compile(source, expr.Full)
		require.NoError(t, err, source)
		require.Equal(t, want, program.Equalities(expr.Vars{Event: trigger}), source)
	}
}

// TestI15_KeyHashMissesNoMatch: where an expression is true, the event's hash is the wait's.
func TestI15_KeyHashMissesNoMatch(t *testing.T) {
	t.Parallel()
	value := rapid.SampledFrom([]string{`1`, `1.0`, `-0`, `0`, `"1"`, `true`, `null`, `"a"`, `[1]`, `{"x":1}`, `9007199254740993`})
	members := rapid.MapOf(rapid.SampledFrom([]string{"a", "b"}), value)
	object := func(t *rapid.T, name string) (json.RawMessage, map[string]any) {
		raw := map[string]json.RawMessage{}
		for key, text := range members.Draw(t, name) {
			raw[key] = json.RawMessage(text)
		}
		encoded, err := json.Marshal(raw)
		require.NoError(t, err)
		var decoded map[string]any
		require.NoError(t, json.Unmarshal(encoded, &decoded))
		return encoded, decoded
	}
	sources := rapid.SampledFrom([]string{
		`async.data.a == event.data.a`, `event.data.b == async.data.a && async.data.b == 1`, `async.data.a == "1"`,
		`async.data.a == null`, `async.data.a == 0 && async.data.b == event.data.b`, `async.data.a.x == event.data.a`,
	})
	rapid.Check(t, func(t *rapid.T) {
		source := sources.Draw(t, "source")
		program, err := expr.Compile(source, expr.Full)
		require.NoError(t, err)
		_, trigger := object(t, "trigger")
		raw, arriving := object(t, "arriving")
		vars := expr.Vars{Event: map[string]any{"data": trigger}}
		shape, hash := stepwell.NewShape(program.Equalities(vars))
		vars.Async = map[string]any{"data": arriving}
		if matched, err := program.Match(vars); err == nil && matched {
			require.Equal(t, hash, stepwell.KeyHash(shape, stepwell.Event{Data: raw}.Variables()), source)
		}
	})
}
