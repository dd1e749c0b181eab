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
)

// Between two looks there is a part of the time that passed already, within bounds: what takes long is not asked for all
// the time, by tests of which many run at once.
const (
	pauseMin  = 20 * time.Millisecond
	pauseMax  = time.Second
	pausePart = 5
)

// eventually asks until there is no error and returns the answer. The test fails if that takes too long.
func eventually[T any](tb testing.TB, what string, ask func() (T, error)) T {
	tb.Helper()
	return within(tb, patience, what, ask)
}

// within is eventually with another patience.
func within[T any](tb testing.TB, limit time.Duration, what string, ask func() (T, error)) T {
	tb.Helper()
	began := time.Now()
	for {
		answer, err := ask()
		if err == nil {
			return answer
		}
		passed := time.Since(began)
		if passed > limit {
			require.FailNow(tb, "waited in vain", "%s until %s: %v", limit, what, err)
		}
		<-time.After(min(max(passed/pausePart, pauseMin), pauseMax))
	}
}

// check is an error unless ok.
func check(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}
