package process_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stepwell/stepwell/services/internal/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func part(name string, stopped *[]string) process.Part {
	return process.Part{Name: name, Run: func(ctx context.Context) error {
		<-ctx.Done()
		*stopped = append(*stopped, name) // the parts stop one after the other
		return nil
	}}
}

func TestPartsStopInReverseOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var stopped []string
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- process.Run(ctx, slog.New(slog.DiscardHandler),
				part("state", &stopped), part("runner", &stopped), part("event-api", &stopped))
		}()
		synctest.Wait()
		require.Empty(t, stopped)
		cancel()
		require.NoError(t, <-done)
		require.Equal(t, []string{"event-api", "runner", "state"}, stopped)
	})
}

func TestPartThatFailsStopsTheOthers(t *testing.T) {
	t.Parallel()
	var stopped []string
	broken := errors.New("address in use")
	err := process.Run(t.Context(), slog.New(slog.DiscardHandler), part("state", &stopped), process.Part{
		Name: "event-api", Run: func(context.Context) error { return broken },
	})
	require.ErrorIs(t, err, broken)
	require.EqualError(t, err, "event-api: address in use")
	require.Equal(t, []string{"state"}, stopped)
}
