package expr

import (
	"encoding/json"
	"testing"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/stretchr/testify/require"
)

// vectorEvent is the event of the test vectors of the specification.
const vectorEvent = `{"data":{"n":5,"big":1000000,"nul":null,"s":"Ab","list":["x"],"empty":[],` +
	`"t":"2026-01-02T00:00:00Z"}}`

// testNow is later than every time in the test data.
var testNow = time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC)

func decode(t require.TestingT, text string) map[string]any {
	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &object))
	return object
}

func vectorVars(t require.TestingT) Vars {
	return Vars{Event: decode(t, vectorEvent), Now: testNow}
}

// errorResult is the expectation that an evaluation fails.
type errorResult struct{}

type vector struct {
	source string
	want   any
}

// requireVectors checks values with their types: int 5 and double 5 are different results.
func requireVectors(t *testing.T, vars Vars, vectors []vector) {
	t.Helper()
	for _, v := range vectors {
		t.Run(v.source, func(t *testing.T) {
			t.Parallel()
			program, err := Compile(v.source, Full)
			require.NoError(t, err)
			got, err := program.eval(vars)
			if _, fails := v.want.(errorResult); fails {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			want := goValue(t, v.want)
			require.Equal(t, want.Type(), got.Type())
			require.Equal(t, want.Value(), got.Value())
		})
	}
}

func goValue(t *testing.T, v any) ref.Val {
	t.Helper()
	switch v := v.(type) {
	case nil:
		return types.NullValue
	case bool:
		return types.Bool(v)
	case int:
		return types.Int(v)
	case float64:
		return types.Double(v)
	case string:
		return types.String(v)
	}
	require.FailNow(t, "no such expectation", "%T", v)
	return nil
}

func TestVectorsOfTheSpecification(t *testing.T) {
	t.Parallel()
	requireVectors(t, vectorVars(t), []vector{
		{`event.data.n > 3`, true},
		{`event.data.n == 5`, true},
		{`event.data.n in [5]`, true},
		{`event.data.n == "5"`, false},
		{`event.data.s == 1`, false},
		{`event.data.s < 1`, errorResult{}},
		{`event.data.n`, 5.0},
		{`int(event.data.n)`, 5},
		{`event.data.n > 3 ? 100 : 0`, 100},
		{`event.data.n + 1`, "51"},
		{`event.data.n * 2`, errorResult{}},
		{`event.data.n * 2.0`, 10.0},
		{`event.data.s + "-" + event.data.n`, "Ab-5"},
		{`event.data.s + "-" + event.data.big`, "Ab-1e+06"},
		{`event.data.s + event.data.nul`, "AbNULL_VALUE"},
		{`event.data.missing.deep == null`, true},
		{`event.data.missing`, false},
		{`!event.data.missing`, false},
		{`!event.data.s`, errorResult{}},
		{`event.data.missing == "a" || event.data.s == "Ab"`, true},
		{`event.data.n > 3 && event.data.missing`, false},
		{`event.data.empty && "x"`, "x"},
		{`event.data.missing ? 1 : 2`, 2},
		{`event.data.x || event.data.s`, "Ab"},
		{`event.data.missing in ["a"] == false`, true},
		{`event.data.missing.contains("x")`, false},
		{`event.data.missing.sub.contains("x")`, false},
		{`uppercase(event.data.missing)`, false},
		{`event.data.nul == null`, true},
		{`event.data.nul < 5`, true},
		{`has(event.data.s)`, true},
		{`has(event.data.missing)`, false},
		{`event.data["s"]`, "Ab"},
		{`event.data.list[0]`, "x"},
		{`event.data.list[3]`, errorResult{}},
		{`event.data.list[3] == null`, true},
		{`event.data.list.exists(i, i == "x")`, true},
		{`event.data.list == ["x"]`, true},
		{`"x" in event.data.list`, true},
		{`event.data.list.filter(i, i == "x").size() == 1`, true},
		{`lowercase(event.data.s) == "ab"`, true},
		{`event.data.s.startsWith("A")`, true},
		{`event.data.s.matches("^A")`, true},
		{`b64decode("YQ==")`, "a"},
		{`date(event.data.t) < now()`, true},
		{`now_plus("24h") > now()`, true},
		{`date(event.data.t) + duration("24h") == date("2026-01-03T00:00:00Z")`, true},
		{`async.data.x == event.data.s`, false},
	})
}

func TestForgivingRulesOfTheSpecification(t *testing.T) {
	t.Parallel()
	requireVectors(t, vectorVars(t), []vector{
		{`event.data.m == null`, true},
		{`null == event.data.m`, true},
		{`event.data.m != null`, false},
		{`event.data.m == "x"`, false},
		{`event.data.m != "x"`, true},
		{`event.data.m < 5`, true},
		{`event.data.m <= 5`, true},
		{`event.data.m > 5`, false},
		{`event.data.m >= 5`, false},
		{`5 > event.data.m`, true},
		{`5 >= event.data.m`, true},
		{`5 < event.data.m`, false},
		{`5 <= event.data.m`, false},
		{`size(event.data.m)`, 0},
		{`event.data.m.size()`, 0},
		{`event.data.m1 == event.data.m2`, false},
		{`event.data.m1 < event.data.m2`, false},
		{`event.data.m in ["x"]`, false},
		{`"x" in event.data.m`, false},
		{`int(event.data.m)`, false},
		{`-event.data.m`, false},
		{`event.data.m * 2.0`, false},
		{`"a" + event.data.m`, "a"},
		{`event.data.m + "a"`, "a"},
		{`event.data.m1 + event.data.m2`, false},
		{`event.data.m.sub.contains("x")`, false},
		{`null == "x"`, false},
		{`null != "x"`, true},
		{`null < 5`, true},
		{`null < -5`, false},
		{`5 > null`, true},
		{`null < "a"`, true},
		{`null <= null`, true},
		{`null < true`, true},
		{`null < b"a"`, true},
		{`null < 1u`, true},
		{`now() > null`, true},
		{`duration("-1h") < null`, true},
		{`null < [1]`, errorResult{}},
		{`1 == 1.0`, true},
		{`1 < 1.5`, true},
		{`"n" + 5`, "n5"},
		{`"n" + 9.1`, "n9.1"},
		{`"n" + true`, "ntrue"},
		{`"n" + [1, "a", null]`, "n[1 a NULL_VALUE]"},
		{`"n" + {"b": 1, "a": [2]}`, "nmap[a:[2] b:1]"},
		{`event.data.m || "x"`, "x"},
		{`event.data.m1 || event.data.m2`, false},
		{`"" && "x"`, ""},
		{`"" || "x"`, "x"},
		{`0 || "x"`, "x"},
		{`0u || "x"`, "x"},
		{`0.0 || "x"`, "x"},
		{`null || "x"`, "x"},
		{`false || "x"`, "x"},
		{`event.data.m && "x"`, false},
		{`{} ? 1 : 2`, 1},
		{`event.data.nul ? 1 : 2`, 2},
		{`"a" == 1`, false},
		{`"a" < 1`, errorResult{}},
	})
}

func TestMissingMembersInPlacesTheSpecificationLeavesOpen(t *testing.T) {
	t.Parallel()
	requireVectors(t, vectorVars(t), []vector{
		// What has no members has none of any name: null, texts, numbers, lists.
		{`event.data.nul.deep == null`, true},
		{`event.data.s.deep == null`, true},
		{`event.data.list.deep.deeper == null`, true},
		{`has(event.data.nul.deep)`, false},
		{`has(event.data.m.deep)`, false},
		{`event.data.m["deep"] == null`, true},
		{`event.data[event.data.m] == null`, true},
		{`event.data.list[event.data.m] == null`, true},
		{`event.data.list[-1] == null`, true},
		{`event.data.list[3].deep == null`, true},
		{`event.data.list[3] || "x"`, "x"},
		{`event.data.list[0.0]`, "x"},
		{`event.data.list[0.5]`, errorResult{}},
		{`event.data.m1 != event.data.m2`, true},
		{`event.data.m < -5`, true},
		{`vars.x == null && async == null`, true},
		{`event.data.m < null`, false},
		// Lists keep a null in place of what is missing.
		{`[event.data.m] == [null]`, true},
		{`{"a": event.data.m}.a == null`, true},
		{`event.data.list.map(i, event.data.m) == [null]`, true},
		// Macros over something missing.
		{`event.data.m.exists(i, true)`, false},
		{`event.data.m.all(i, true)`, false},
		{`event.data.m.exists_one(i, true)`, false},
		{`event.data.m.filter(i, true).size()`, 0},
		{`event.data.m.map(i, i)`, false},
		{`event.data.nul.exists(i, true)`, errorResult{}},
		{`event.data.list.exists(i, i.deep.deeper == "x")`, false},
		{`event.data.list.all(i, i)`, true},
	})
}

func TestErrorsAreForgottenWhenTheOtherOperandDecides(t *testing.T) {
	t.Parallel()
	requireVectors(t, vectorVars(t), []vector{
		{`event.data.s < 1 || true`, true},
		{`true || event.data.s < 1`, true},
		{`event.data.s < 1 || false`, errorResult{}},
		{`event.data.s < 1 && false`, false},
		{`event.data.s < 1 && event.data.m`, false},
		{`event.data.s < 1 && true`, errorResult{}},
		{`event.data.s < 1 ? 1 : 2`, errorResult{}},
		{`[1, "a"].exists(i, i == "a" || i < 0)`, true},
		{`["b", 1].exists(i, i > 0)`, true},
		{`["b", 1].exists(i, i > 5)`, errorResult{}},
		{`["b", 1].all(i, i > 5)`, false},
	})
}
