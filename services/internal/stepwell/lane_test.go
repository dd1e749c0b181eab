package stepwell_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func TestLaneIsTheFunctionAndItsLimitKeys(t *testing.T) {
	t.Parallel()
	const function = "4df6e8b1-b9bd-5722-b1db-37550bb04c00"
	item := stepwell.Item{Function: newRun(t).Function}
	require.Equal(t, stepwell.Lane(function), item.Lane())
	item.Limits = []stepwell.LimitKey{
		{LimitName: stepwell.LimitName{Scope: stepwell.ScopeEnvironment, Key: "k"}, Value: "a/b=|c"},
		{LimitName: stepwell.LimitName{Kind: stepwell.LimitThrottle}},
	}
	require.Equal(t, stepwell.Lane(function+"/cek=a%2Fb%3D%7Cc/tf="), item.Lane())
	item.Kind = stepwell.ItemSleep
	require.Equal(t, stepwell.Lane(function+"/!cek=a%2Fb%3D%7Cc/tf="), item.Lane(), "it counts towards none")
}

// TestLanesAreEqualOnlyForEqualKeys: a key's value is what a customer sends, so it may look like anything.
func TestLanesAreEqualOnlyForEqualKeys(t *testing.T) {
	t.Parallel()
	value := rapid.SampledFrom([]string{"", "a", "/", "a/cf=b", "b", "|", "/cf=", "!", "%2F", "+", " ", "é"})
	key := rapid.Custom(func(t *rapid.T) stepwell.LimitKey {
		return stepwell.LimitKey{
			LimitName: stepwell.LimitName{
				Kind:  stepwell.LimitKind(rapid.IntRange(0, 1).Draw(t, "kind")),
				Scope: stepwell.Scope(rapid.IntRange(0, 2).Draw(t, "scope")),
				Key:   rapid.SampledFrom([]string{"", "x", "-_9"}).Draw(t, "key"),
			},
			Value: value.Draw(t, "value"),
		}
	})
	keys := rapid.SliceOfN(key, 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		a, b := stepwell.Item{Limits: keys.Draw(t, "a")}, stepwell.Item{Limits: keys.Draw(t, "b")}
		a.Function = stepwell.FunctionID{UUID: [16]byte{byte(rapid.IntRange(0, 255).Draw(t, "function"))}}
		b.Function = a.Function
		a.Kind = rapid.SampledFrom([]stepwell.ItemKind{stepwell.ItemStep, stepwell.ItemTimeout}).Draw(t, "kind")
		b.Kind = a.Kind
		function, limits, err := a.Lane().Parse()
		require.NoError(t, err)
		require.Equal(t, a.Function, function)
		require.Len(t, limits, len(a.Limits))
		for i := range limits {
			require.Equal(t, a.Limits[i], limits[i])
		}
		same := len(a.Limits) == len(b.Limits)
		for i := 0; same && i < len(a.Limits); i++ {
			same = a.Limits[i] == b.Limits[i]
		}
		require.Equal(t, same, a.Lane() == b.Lane(), "%s %s", a.Lane(), b.Lane())
		b.Function = stepwell.FunctionID{UUID: [16]byte{1, 1}}
		require.NotEqual(t, a.Lane(), b.Lane())
	})
}

func TestTextThatIsNoLaneIsRefused(t *testing.T) {
	t.Parallel()
	const function = "4df6e8b1-b9bd-5722-b1db-37550bb04c00"
	for _, text := range []string{
		"", "/", "x", function[1:], strings.ToUpper(function), "{" + function + "}", function + "/", function + "/cf",
		function + "/!", function + "/xf=", function + "/c=", function + "/cf=%", function + "/cf=%2f", function + "/cf=a/",
		function + "/cf=/!cf=", function + "!cf=",
	} {
		_, _, err := stepwell.Lane(text).Parse()
		require.ErrorIs(t, err, stepwell.ErrInvalid, text)
	}
}
