package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/stepwell/stepwell/services/internal/coalesce"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// advice is what to do about an error that Redis answers with, by the word it begins with. All of these may go away
// without the caller changing anything.
func advice(code string) string {
	switch code {
	case "OOM":
		return "redis is full: raise its maxmemory, or give redis_url a larger one; the queue goes on when there is room"
	case "READONLY":
		return "redis_url names a replica, or a server that just became one: name the primary, the sentinels or the cluster"
	case "NOAUTH":
		return "redis wants a password: put it into redis_url"
	case "WRONGPASS":
		return "redis does not accept user and password: correct them in redis_url"
	case "NOPERM":
		return "the user of redis_url may not do this: allow it all commands on the queue's keys"
	case "MISCONF":
		return "redis cannot write to its disk and so refuses changes: see its log, or name another in redis_url"
	case "LOADING":
		return "redis is starting and reads its data; redis_url is right, wait"
	case "CLUSTERDOWN":
		return "the cluster of redis_url does not serve all slots: bring its nodes back"
	case "MASTERDOWN", "NOREPLICAS", "TRYAGAIN":
		return "the redis of redis_url is failing over; wait"
	case "BUSY":
		return "another script keeps the redis of redis_url busy; wait, or give the queue a redis of its own"
	case "max": // "ERR max number of clients reached"
		return "redis has no connections left: raise its maxclients, or give redis_url a larger one"
	}
	return ""
}

// codes are those that advice knows.
func codes() []string {
	return []string{
		"OOM", "READONLY", "NOAUTH", "WRONGPASS", "NOPERM", "MISCONF", "LOADING", "CLUSTERDOWN", "MASTERDOWN",
		"NOREPLICAS", "TRYAGAIN", "BUSY", "max",
	}
}

// failure is the error of what was tried, for the caller and for people. ctx is the caller's.
func (q *Queue) failure(ctx context.Context, tried string, err error) error {
	var answer redis.Error
	var panicked *coalesce.PanicError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", tried, ctx.Err())
	case errors.Is(err, coalesce.ErrClosed), errors.Is(err, redis.ErrClosed):
		return fmt.Errorf("%s: the queue is closed: %w", tried, stepwell.ErrUnavailable)
	case errors.Is(err, stepwell.ErrUnavailable), errors.Is(err, stepwell.ErrInvalid), errors.As(err, &panicked):
		return err // it went through here before, or is not about Redis
	case !errors.As(err, &answer):
		return fmt.Errorf("%s: redis does not answer at %s (redis_url): %w: %w", tried, q.addresses, stepwell.ErrUnavailable, err)
	}
	for _, code := range codes() {
		// An older Redis tells a script's error after its own words.
		if redis.HasErrorPrefix(err, code+" ") || strings.Contains(err.Error(), "-"+code+" ") {
			return fmt.Errorf("%s: %s: %w: %w", tried, advice(code), stepwell.ErrUnavailable, err)
		}
	}
	return fmt.Errorf("%s: redis refuses: %w", tried, err)
}
