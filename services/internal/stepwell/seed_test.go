package stepwell_test

import (
	"math"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func texts(ids []stepwell.EventID) []string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = id.String()
	}
	return list
}

// TestSeedCountsAsSDKsDo: from one, in the last four bytes.
func TestSeedCountsAsSDKsDo(t *testing.T) {
	t.Parallel()
	seed, err := stepwell.NewEventSeed(1754000000123, make([]byte, 10))
	require.NoError(t, err)
	require.Equal(t, time.UnixMilli(1754000000123), seed.Time())
	want := []string{"01K1H8R13V0000000000000001", "01K1H8R13V0000000000000002"}
	require.Equal(t, want, texts(seed.IDs(2)))
	require.Equal(t, want, texts(seed.IDs(2)), "asking again changes nothing")
	require.Empty(t, seed.IDs(0))
}

// TestSeedWrapsWithinItsLastFourBytes: what is before them never changes.
func TestSeedWrapsWithinItsLastFourBytes(t *testing.T) {
	t.Parallel()
	seed, err := stepwell.NewEventSeed(1754000000123, []byte{0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe})
	require.NoError(t, err)
	require.Equal(t, []string{"01K1H8R13V0000000003ZZZZZZ", "01K1H8R13V0000000000000000", "01K1H8R13V0000000000000001"},
		texts(seed.IDs(3)))
}

func TestSeedOfAULID(t *testing.T) {
	t.Parallel()
	seed, err := stepwell.ParseEventSeed("01K1H8R13V0000000000000000")
	require.NoError(t, err)
	same, err := stepwell.NewEventSeed(1754000000123, make([]byte, 10))
	require.NoError(t, err)
	require.Equal(t, same, seed)
	_, err = stepwell.ParseEventSeed("01K1H8R13V")
	require.ErrorIs(t, err, stepwell.ErrInvalid)
	require.EqualError(t, err, `"01K1H8R13V" is not a ULID`)
}

func TestSeedThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, length := range []int{0, 9, 11} {
		_, err := stepwell.NewEventSeed(1, make([]byte, length))
		require.ErrorIs(t, err, stepwell.ErrInvalid, length)
		require.ErrorContains(t, err, "10 random bytes")
	}
	for _, millis := range []uint64{ulid.MaxTime() + 1, math.MaxUint64} {
		_, err := stepwell.NewEventSeed(millis, make([]byte, 10))
		require.ErrorIs(t, err, stepwell.ErrInvalid, millis)
		require.ErrorContains(t, err, "out of range")
	}
	_, err := stepwell.NewEventSeed(ulid.MaxTime(), make([]byte, 10))
	require.NoError(t, err)
}

// TestRequestIDIsOfItemAndLease: a repeated request has another id only if the lease is another.
func TestRequestIDIsOfItemAndLease(t *testing.T) {
	t.Parallel()
	item := stepwell.NewDiscovery(newRun(t), 1, instant())
	id := stepwell.NewRequestID(item.ID, 1)
	require.Equal(t, id, stepwell.NewRequestID(item.ID, 1))
	require.Equal(t, item.Run.Timestamp(), id.Timestamp(), "it sorts with its run")
	for _, different := range []stepwell.RequestID{
		stepwell.NewRequestID(item.ID, 2), stepwell.NewRequestID(item.ID, 256),
		stepwell.NewRequestID(item.Next(instant()).ID, 1),
	} {
		require.NotEqual(t, id, different)
	}
	require.NotEqual(t, item.Run.ULID, id.ULID)
}

func TestSyncIDIsOfAppAndWhatItSaid(t *testing.T) {
	t.Parallel()
	app := stepwell.NewAppID(stepwell.DefaultEnvironment(), "shop")
	id := stepwell.NewSyncID(app, "abc")
	require.Equal(t, "f8dd2bea-dfb2-5650-948b-e82a90bd4b21", id.String())
	require.NotEqual(t, id, stepwell.NewSyncID(app, "abd"))
	require.NotEqual(t, id, stepwell.NewSyncID(stepwell.NewAppID(stepwell.DefaultEnvironment(), "bank"), "abc"))
}

// TestNoSeedYieldsAnIDOfTheServersOwn: a publisher who could choose such an id could keep the event from being stored.
func TestNoSeedYieldsAnIDOfTheServersOwn(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1754000000123)
	for _, own := range []stepwell.EventID{
		stepwell.NewEventID(at, "cause"), stepwell.NewEventID(at, "another"),
		stepwell.NewTimerEventID(stepwell.FunctionID{}, "* * * * *", at), stepwell.NewTimerEventID(stepwell.FunctionID{}, "0 * * * *", at),
	} {
		entropy := own.Entropy()
		entropy[9]-- // ids count from one
		seed, err := stepwell.NewEventSeed(uint64(at.UnixMilli()), entropy)
		require.NoError(t, err)
		require.NotEqual(t, own, seed.IDs(1)[0])
		require.Equal(t, at, own.Timestamp())
	}
}
