package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// answered is an error that Redis answered with.
type answered string

func (a answered) Error() string { return string(a) }
func (answered) RedisError()     {}

func TestAnswersThatMayGoAwayAreUnavailable(t *testing.T) {
	t.Parallel()
	q := &Queue{addresses: "redis.example:6379"}
	for _, answer := range []answered{
		"READONLY You can't write against a read only replica.",
		"READONLY You can't write against a read only replica. script: 5a2f, on @user_script:9.",
		"ERR Error running script (call to f_5a2f): @user_script:9: -READONLY You can't write against a read only replica.",
		"LOADING Redis is loading the dataset in memory",
		"OOM command not allowed when used memory > 'maxmemory'. script: 5a2f, on @user_script:9.",
		"ERR max number of clients reached",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"CLUSTERDOWN The cluster is down",
		"TRYAGAIN Multiple keys request during rehashing of slot",
		"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
		"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
		"NOREPLICAS Not enough good replicas to write.",
		"NOAUTH Authentication required.",
		"WRONGPASS invalid username-password pair or user is disabled.",
		"NOPERM this user has no permissions to run the 'evalsha' command",
	} {
		err := q.failure(t.Context(), "lease", fmt.Errorf("a pipeline: %w", answer))
		require.ErrorIs(t, err, stepwell.ErrUnavailable, answer)
		require.ErrorIs(t, err, answer)
		require.Regexp(t, `^lease: .+: `, err.Error())
	}
}

func TestEveryKnownAnswerHasAdvice(t *testing.T) {
	t.Parallel()
	for _, code := range codes() {
		require.NotEmpty(t, advice(code), code)
	}
}

func TestAnswerThatIsOurMistakeIsNotUnavailable(t *testing.T) {
	t.Parallel()
	q := &Queue{}
	for _, answer := range []answered{
		"ERR user_script:9: attempt to index a nil value", "WRONGTYPE Operation against a key holding the wrong kind of value",
	} {
		err := q.failure(t.Context(), "lease", answer)
		require.NotErrorIs(t, err, stepwell.ErrUnavailable)
		require.ErrorContains(t, err, "lease: redis refuses: "+string(answer))
	}
}

func TestCallerWhoGivesUpGetsHisOwnError(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := (&Queue{}).failure(ctx, "lease", errors.New("read tcp: i/o timeout"))
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, stepwell.ErrUnavailable)
}
