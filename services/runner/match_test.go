package runner_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func TestEventStartsTheFunctionsThatAskedForItsName(t *testing.T) {
	t.Parallel()
	r := newRig(t,
		on("exact", "a/b.c"), on("slash", "a/*"), on("dot", "a/b.*"), on("deep", "a/b/*"), on("plain", "order"),
		on("upper", "A/B.c"), on("longer", "a/b.c.d"), on("none"), on("internal", "inngest/function.failed"),
		on("all internal", "inngest/*"), on("all finished", "inngest/function.*"),
		on("no wildcard", "ord*", "a/b*"),
	)
	tests := map[string][]string{
		"a/b.c":                   {"dot", "exact", "slash"},
		"a/b.c.d":                 {"dot", "longer", "slash"},
		"a/b.":                    {"dot", "slash"},
		"a/b":                     {"slash"},
		"a/b/c":                   {"deep", "slash"},
		"a/":                      {"slash"},
		"a":                       {},
		"A/B.c":                   {"upper"},
		"xa/b.c":                  {},
		"order":                   {"plain"},
		"order.paid":              {},
		"order/paid":              {},
		"ord":                     {},
		"inngest/function.failed": {"internal"},
		"Inngest/function.x":      {},
		"a/*":                     {"slash"},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := event(name)
			require.NoError(t, r.publish(e))
			require.Equal(t, want, r.started(e))
		})
	}
}

func TestSeveralTriggersStartAFunctionOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, on("many", "a/b.c", "a/*", "a/b.*", "a/b.c event.data.n == 1", "a/b.c true"), on("other", "a/*"))
	require.Equal(t, []string{"many", "other"}, r.starts(event("a/b.c", `{"n":1}`)))
	require.Equal(t, 2, r.stats().Ready)
}

// TestOneTriggerThatMatchesIsEnough: whichever it is of several.
func TestOneTriggerThatMatchesIsEnough(t *testing.T) {
	t.Parallel()
	r := newRig(t, on("either", "a event.data.n == 1", "a event.data.n == 2"), on("wide", "a/b false", "a/*"))
	require.Equal(t, []string{"either"}, r.starts(event("a", `{"n":1}`)))
	require.Equal(t, []string{"either"}, r.starts(event("a", `{"n":2}`)))
	require.Empty(t, r.starts(event("a", `{"n":3}`)))
	require.Equal(t, []string{"wide"}, r.starts(event("a/b")))
}

func TestConditions(t *testing.T) {
	t.Parallel()
	e := event("a", `{"n":5,"s":"x","list":[1],"deep":{"a":null}}`)
	e.Key, e.Version, e.User = "order-1", "2", json.RawMessage(`{"plan":"pro"}`)
	e.Time = time.UnixMilli(1754000000123).UTC()
	tests := map[string]bool{
		`event.data.n > 4`:              true,
		`event.data.n > 5`:              false,
		`event.data.s == "x"`:           true,
		`event.name == "a"`:             true,
		`event.id == "order-1"`:         true,
		`event.v == "2"`:                true,
		`event.user.plan == "pro"`:      true,
		`event.ts == 1754000000123`:     true,
		`event.ts == 1754000000.123`:    false,
		`event.data.missing == "x"`:     false,
		`event.data.deep.a.b.c == "x"`:  false,
		`async.data.n == 5`:             false,
		`event.data.n`:                  false, // not a boolean
		`event.data.s`:                  false,
		`"true"`:                        false,
		`event.data.list[7] == 1`:       false,
		`1 / int(event.data.zero) == 1`: false,
		`event.data.n < now()`:          false,
		`now() > timestamp("1999-01-01T00:00:00Z") && now() < timestamp("2999-01-01T00:00:00Z")`: true,
		`true`:  true,
		`false`: false,
	}
	for condition, want := range tests {
		t.Run(condition, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, on("conditional", "a "+condition), on("always", "a"))
			started := []string{"always"}
			if want {
				started = append(started, "conditional")
			}
			require.Equal(t, started, r.starts(e))
		})
	}
}

// TestConditionSeesTheServersIDIfThereIsNoOther: and no version if there is none.
func TestConditionSeesTheServersIDIfThereIsNoOther(t *testing.T) {
	t.Parallel()
	e := event("a")
	r := newRig(t, on("id", `a event.id == "`+e.ID.String()+`"`), on("v", `a has(event.v)`))
	require.Equal(t, []string{"id"}, r.starts(e))
}

// TestConditionErrorsAreTold: they do not match, and the log says why, for who looks.
func TestConditionErrorsAreTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, on("odd", `a event.data.n`))
	e := event("a", `{"n":1}`)
	require.Empty(t, r.starts(e))
	require.True(t, r.stored(e))
	require.Contains(t, r.log.String(), "trigger did not match")
	require.Contains(t, r.log.String(), "function odd")
	require.Contains(t, r.log.String(), "not bool")
	require.Contains(t, r.log.String(), e.ID.String())
}

// TestConditionThatIsFalseIsNoProblem: most are, most of the time.
func TestConditionThatIsFalseIsNoProblem(t *testing.T) {
	t.Parallel()
	r := newRig(t, on("picky", `a event.data.n == 1`))
	require.Empty(t, r.starts(event("a", `{"n":2}`)))
	require.Equal(t, []string{"picky"}, r.starts(event("a", `{"n":1}`)))
	require.Empty(t, r.log.String())
}

// TestTriggerThatCannotBeCompiledHarmsNoOther: it was checked when it was synced, by an older server perhaps.
func TestTriggerThatCannotBeCompiledHarmsNoOther(t *testing.T) {
	t.Parallel()
	r := newRig(t, on("broken", "a event.data.n >", "b"), on("good", "a"))
	require.Equal(t, []string{"good"}, r.starts(event("a")))
	require.Equal(t, []string{"broken"}, r.starts(event("b")))
	require.Contains(t, r.log.String(), "trigger cannot be compiled")
	require.Contains(t, r.log.String(), "function_id=broken")
}

func TestCronDoesNotListenToEvents(t *testing.T) {
	t.Parallel()
	function := on("cron")
	function.Triggers = []stepwell.Trigger{{Cron: "* * * * *"}}
	r := newRig(t, function)
	e := event("")
	require.Empty(t, r.starts(e))
}

func TestEnvironmentsDoNotStartEachOther(t *testing.T) {
	t.Parallel()
	r := newRig(t, on("here", "a"))
	elsewhere := event("a")
	elsewhere.Environment = stepwell.EnvironmentID{UUID: uuid.MustParse("00000000-0000-4000-b000-000000000001")}
	require.NoError(t, r.publish(elsewhere))
	require.Zero(t, r.stats())
	require.True(t, r.stored(elsewhere))
	require.Equal(t, []string{"here"}, r.starts(event("a")))

	err := r.publish(event("a"), elsewhere)
	require.ErrorIs(t, err, stepwell.ErrInvalid)
	require.ErrorContains(t, err, "different environments")
}
