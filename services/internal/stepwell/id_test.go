package stepwell_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

const ulidText = "01K1H8R13VAH3449HM1MKGPG03"

func TestIDsAreReadFromTheirText(t *testing.T) {
	t.Parallel()
	event, err := stepwell.ParseEventID(ulidText)
	require.NoError(t, err)
	require.Equal(t, ulidText, event.String())
	run, err := stepwell.ParseRunID(ulidText)
	require.NoError(t, err)
	require.Equal(t, ulidText, run.String())
	require.Equal(t, int64(1754000000123), run.Timestamp().UnixMilli())
}

func TestTextThatIsNoIDIsRefusedWithItsText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "1", ulidText + "0", ulidText[1:], strings.Replace(ulidText, "K", "U", 1), "8" + ulidText[1:],
		"4df6e8b1-b9bd-5722-b1db-37550bb04c00",
	} {
		_, err := stepwell.ParseEventID(text)
		require.ErrorIs(t, err, stepwell.ErrInvalid, text)
		require.EqualError(t, err, `event id "`+text+`" is not a ULID`)
		_, err = stepwell.ParseRunID(text)
		require.ErrorIs(t, err, stepwell.ErrInvalid, text)
		require.EqualError(t, err, `run id "`+text+`" is not a ULID`)
	}
}

// TestDerivedIDsNeverChange: they are stored, and a new version of the server must derive the same ones.
func TestDerivedIDsNeverChange(t *testing.T) {
	t.Parallel()
	environment := stepwell.DefaultEnvironment()
	require.Equal(t, "00000000-0000-4000-b000-000000000000", environment.String())
	app := stepwell.NewAppID(environment, "shop")
	require.Equal(t, "68f62440-a7c2-5ad0-a7de-6ce5d0dcfbf7", app.String())
	function := stepwell.NewFunctionID(app, "shop-charge")
	require.Equal(t, "4df6e8b1-b9bd-5722-b1db-37550bb04c00", function.String())
	run := stepwell.NewRunID(time.UnixMilli(1754000000123), function, "01K2Q8R0A1B2C3D4E5F6G7H8J9")
	require.Equal(t, ulidText, run.String())
}

func TestDerivedIDsDifferWithWhatTheyAreDerivedFrom(t *testing.T) {
	t.Parallel()
	environment := stepwell.DefaultEnvironment()
	other := stepwell.EnvironmentID{UUID: uuid.MustParse("00000000-0000-4000-b000-000000000001")}
	shop, bank := stepwell.NewAppID(environment, "shop"), stepwell.NewAppID(environment, "bank")
	require.NotEqual(t, shop, bank)
	require.NotEqual(t, shop, stepwell.NewAppID(other, "shop"))

	charge := stepwell.NewFunctionID(shop, "charge")
	require.NotEqual(t, charge, stepwell.NewFunctionID(shop, "refund"))
	require.NotEqual(t, charge, stepwell.NewFunctionID(bank, "charge"))

	at := time.UnixMilli(1754000000123)
	run := stepwell.NewRunID(at, charge, "a")
	require.Equal(t, run, stepwell.NewRunID(at.Add(999*time.Microsecond), charge, "a"), "time counts in milliseconds")
	for _, different := range []stepwell.RunID{
		stepwell.NewRunID(at, charge, "b"),
		stepwell.NewRunID(at, stepwell.NewFunctionID(shop, "refund"), "a"),
		stepwell.NewRunID(at.Add(time.Millisecond), charge, "a"),
	} {
		require.NotEqual(t, run, different)
	}
	later := stepwell.NewRunID(at.Add(time.Millisecond), charge, "a")
	require.Negative(t, run.Compare(later.ULID), "runs sort by time")
	require.Equal(t, run.Entropy(), later.Entropy())
}

func TestRunIDBeyondTheRangeOfULIDsIsABrokenInvariant(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() {
		stepwell.NewRunID(ulid.Time(ulid.MaxTime()).Add(time.Millisecond), stepwell.FunctionID{}, "a")
	})
}

func TestEventIDsIncreaseWithinAMillisecond(t *testing.T) {
	t.Parallel()
	ids := stepwell.NewEventIDs(rand.Reader)
	now := time.UnixMilli(1754000000123)
	var all []stepwell.EventID
	for _, n := range []int{1, 1000, 0, 2} {
		got, err := ids.Next(now, n)
		require.NoError(t, err)
		require.Len(t, got, n)
		all = append(all, got...)
	}
	for i, id := range all {
		require.Equal(t, now, id.Timestamp())
		if i > 0 {
			require.Positive(t, id.Compare(all[i-1].ULID))
		}
	}
	next, err := ids.Next(now.Add(time.Millisecond), 1)
	require.NoError(t, err)
	require.Equal(t, now.Add(time.Millisecond), next[0].Timestamp())
}

func TestEventIDsOfManyAtOnceAreAllDifferent(t *testing.T) {
	t.Parallel()
	const callers, each = 8, 500
	ids := stepwell.NewEventIDs(rand.Reader)
	now := time.UnixMilli(1754000000123)
	results := make(chan []stepwell.EventID)
	for range callers {
		go func() { // awaited below
			var got []stepwell.EventID
			for range each {
				one, err := ids.Next(now, 1)
				if err != nil {
					t.Errorf("next: %v", err)
				}
				got = append(got, one...)
			}
			results <- got
		}()
	}
	seen := map[stepwell.EventID]bool{}
	for range callers {
		got := <-results
		require.True(t, slices.IsSortedFunc(got, func(a, b stepwell.EventID) int { return a.Compare(b.ULID) }))
		for _, id := range got {
			seen[id] = true
		}
	}
	require.Len(t, seen, callers*each)
}

func TestEventIDsWithoutRandomnessAreRefused(t *testing.T) {
	t.Parallel()
	dry := errors.New("no randomness")
	_, err := stepwell.NewEventIDs(iotest.ErrReader(dry)).Next(time.UnixMilli(1), 1)
	require.ErrorIs(t, err, dry)
}
