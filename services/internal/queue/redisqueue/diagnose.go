package redisqueue

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Facts are what Diagnose finds out about Redis; in a cluster, about one of its nodes. What they mean is for the caller
// to say.
type Facts struct {
	// Version is what the server says it is compatible with, like 7.2.4.
	Version string
	// Eviction is its maxmemory-policy.
	Eviction string
	// Shards is the stored number of shards; 0 if the prefix was not used yet.
	Shards int
	// Now is the server's clock.
	Now time.Time
}

// Diagnose looks at Redis, and changes nothing. Errors: stepwell.ErrUnavailable, with what to do.
func (q *Queue) Diagnose(ctx context.Context) (Facts, error) {
	timed, cancel := context.WithTimeout(ctx, q.config.Timeout)
	defer cancel()
	var facts Facts
	var server, memory, stored string
	for _, ask := range []func() error{
		func() (err error) { server, err = q.client.Info(timed, "server").Result(); return err },
		func() (err error) { memory, err = q.client.Info(timed, "memory").Result(); return err },
		func() (err error) { facts.Now, err = q.client.Time(timed).Result(); return err },
		func() (err error) { stored, err = q.client.Get(timed, countKey(q.config.Prefix)).Result(); return err },
	} {
		if err := ask(); err != nil && err != redis.Nil { //nolint:errorlint // as go-redis documents it
			return Facts{}, q.failure(ctx, "ask redis about itself", err)
		}
	}
	facts.Version, facts.Eviction = infoField(server, "redis_version"), infoField(memory, "maxmemory_policy")
	facts.Shards, _ = strconv.Atoi(stored) // what is no number is none of ours, and Check refuses it
	return facts, nil
}

// infoField is a field of what INFO answers.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), ":"); key == name {
			return value
		}
	}
	return ""
}
