package stepwell_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func sentinels() []error {
	return []error{
		stepwell.ErrNotFound, stepwell.ErrConflict, stepwell.ErrInvalid, stepwell.ErrTooLarge, stepwell.ErrFull, stepwell.ErrUnauthorized,
		stepwell.ErrUnavailable, stepwell.ErrStale, stepwell.ErrLeaseLost,
	}
}

func TestSentinelsAreToldApart(t *testing.T) {
	t.Parallel()
	for i, a := range sentinels() {
		for j, b := range sentinels() {
			require.Equal(t, i == j, errors.Is(fmt.Errorf("load run: %w", a), b), "%v is %v", a, b)
		}
	}
}

// TestRequestErrorsSayNothingButTheirText: it is shown to the person who sent the request.
func TestRequestErrorsSayNothingButTheirText(t *testing.T) {
	t.Parallel()
	invalid := stepwell.Invalidf("limit is %d, it must be 1 to %d", 0, 100)
	require.EqualError(t, invalid, "limit is 0, it must be 1 to 100")
	require.ErrorIs(t, invalid, stepwell.ErrInvalid)
	require.NotErrorIs(t, invalid, stepwell.ErrTooLarge)

	tooLarge := stepwell.TooLargef("%d events, at most %d are allowed", 3, 2)
	require.EqualError(t, tooLarge, "3 events, at most 2 are allowed")
	require.ErrorIs(t, tooLarge, stepwell.ErrTooLarge)
	require.NotErrorIs(t, tooLarge, stepwell.ErrInvalid)
	require.ErrorIs(t, fmt.Errorf("event 7: %w", tooLarge), stepwell.ErrTooLarge)

	full := stepwell.Fullf("%d items of %q wait", 3, "f")
	require.EqualError(t, full, `3 items of "f" wait`)
	require.ErrorIs(t, full, stepwell.ErrFull)

	unauthorized := stepwell.Unauthorizedf("event key %s", "not found")
	require.EqualError(t, unauthorized, "event key not found")
	require.ErrorIs(t, unauthorized, stepwell.ErrUnauthorized)
}

func TestOnlySomeErrorsAreWorthTryingAgain(t *testing.T) {
	t.Parallel()
	retryable := map[error]bool{stepwell.ErrUnavailable: true, stepwell.ErrStale: true}
	for _, sentinel := range sentinels() {
		require.Equal(t, retryable[sentinel], stepwell.Retryable(fmt.Errorf("commit: %w", sentinel)), sentinel)
	}
	require.False(t, stepwell.Retryable(errors.New("odd")))
	require.False(t, stepwell.Retryable(stepwell.Invalidf("odd")))
	require.False(t, stepwell.Retryable(nil))
}
