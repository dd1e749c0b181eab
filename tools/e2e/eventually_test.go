package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// How long tests wait, and how often they look. The machine may be busy: a test that waits long enough fails only if
// nothing comes.
const (
	patience      = 2 * time.Minute
	heavyPatience = 5 * time.Minute // 36 MB through an app: 10 s where nothing else is done, more than 2 min in a busy CI
	tick          = 20 * time.Millisecond
)

// eventually asks until there is no error and returns the answer. The test fails if that takes too long.
func eventually[T any](tb testing.TB, what string, ask func() (T, error)) T {
	tb.Helper()
	return within(tb, patience, what, ask)
}

// within is eventually with another patience.
func within[T any](tb testing.TB, limit time.Duration, what string, ask func() (T, error)) T {
	tb.Helper()
	deadline := time.Now().Add(limit)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		answer, err := ask()
		if err == nil {
			return answer
		}
		if time.Now().After(deadline) {
			require.FailNow(tb, "waited in vain", "%s until %s: %v", limit, what, err)
		}
		<-ticker.C
	}
}

// check is an error unless ok.
func check(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}
