// Package redisqueue keeps a queue in Redis: standalone, behind sentinels, or a cluster; Valkey too. README.md describes
// the data.
//
// It must not hold anything that is not in Redis but for a moment, nor know what an item means. It is the only package
// that talks to Redis, and it changes items by scripts only, so that nobody sees half of a change.
package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/stepwell/stepwell/services/internal/coalesce"
	"github.com/stepwell/stepwell/services/internal/queue"
	"github.com/stepwell/stepwell/services/internal/stepwell"
	"github.com/stepwell/stepwell/services/internal/telemetry"
)

// Config is what users set.
type Config struct {
	// URL says where Redis is; urlForms lists the forms. It may hold a password, so it is never shown. Programs call the
	// setting redis_url.
	URL string `koanf:"-"`
	// Prefix begins the names of all keys, so that several installs can share a Redis.
	Prefix string `koanf:"prefix" doc:"what the names of all keys begin with, so that several installs can share a Redis"`
	// Shards is the number of shards. It is stored with the first use and cannot change while the prefix is in use.
	Shards int `koanf:"shards" doc:"into how many parts the queue is divided; it cannot change while the prefix is in use"`
	// Timeout bounds every command, connecting and retrying included.
	Timeout time.Duration `koanf:"timeout" doc:"bounds every command, connecting and retrying included"`
	// Connections bounds the connections to each Redis node, besides one a shard while the process waits for work.
	Connections int `koanf:"connections" doc:"connections to each Redis node, besides those that wait for work"`
}

// The bounds of the configuration.
const (
	shardsMax      = 256
	connectionsMax = 1000
	prefixBytesMax = 100
)

// DefaultConfig returns the defaults; URL has none.
func DefaultConfig() Config {
	return Config{Prefix: "stepwell", Shards: 4, Timeout: 3 * time.Second, Connections: 16}
}

// CheckURL tells what is wrong with a URL, without showing it.
func CheckURL(url string) error {
	_, err := parseURL(url)
	return err
}

// Validate returns every problem at once, but those of the URL.
func (c Config) Validate() error {
	var problems []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	// Braces would be taken for a hash tag, and all shards end in one slot.
	check(c.Prefix != "" && len(c.Prefix) <= prefixBytesMax && !strings.ContainsAny(c.Prefix, "{}"),
		"prefix is %q, it must have 1 to %d bytes and no braces", c.Prefix, prefixBytesMax)
	check(c.Shards > 0 && c.Shards <= shardsMax, "shards is %d, it must be between 1 and %d", c.Shards, shardsMax)
	check(c.Timeout >= 10*time.Millisecond, "timeout is %s, it must be at least 10ms", c.Timeout)
	check(c.Connections > 0 && c.Connections <= connectionsMax,
		"connections is %d, it must be between 1 and %d", c.Connections, connectionsMax)
	return errors.Join(problems...)
}

// Queue is a queue.Queue in Redis.
type Queue struct {
	config    Config
	client    redis.UniversalClient
	addresses string
	scripts   scripts
	metrics   metrics
	shards    []*shard
	bells     []*bell
	// pollEvery is pollEvery but in tests.
	pollEvery time.Duration
	// turn moves the shard that a Lease begins with.
	turn atomic.Uint32
	// checked says that the stored number of shards is ours.
	checked atomic.Bool
	// closed is closed by Close, closing sees to it that this happens once.
	closed  chan struct{}
	closing sync.Once
	// listeners are the goroutines of the bells; Close waits for them. starting guards their beginning against its end.
	listeners sync.WaitGroup
	starting  sync.Mutex
}

var _ queue.Queue = (*Queue)(nil)

// shard is what a process knows of a shard.
type shard struct {
	number int
	keys   keys
	puts   *coalesce.Coalescer[put, putResult]

	mu sync.Mutex
	// nextAt is when something becomes due or expires next, as of the last look; zero if nothing does. more says that
	// there was ready work.
	nextAt time.Time
	more   bool
	// token says that this process took the wake token and has not looked at the shard since.
	token bool
}

// New returns a queue. It does not connect: that Redis is not there is told by what is tried first.
func New(config Config, t telemetry.Telemetry) (*Queue, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("redis queue: %w", err)
	}
	where, err := parseURL(config.URL)
	if err != nil {
		return nil, fmt.Errorf("redis queue: %w", err)
	}
	q := &Queue{config: config, addresses: where.addresses(), pollEvery: pollEvery, closed: make(chan struct{})}
	if q.scripts, err = loadScripts(); err != nil {
		return nil, fmt.Errorf("redis queue: load scripts: %w", err)
	}
	if q.metrics, err = newMetrics(t.Meter()); err != nil {
		return nil, fmt.Errorf("redis queue: %w", err)
	}
	for number := range config.Shards {
		s := &shard{number: number, keys: shardKeys(config.Prefix, number)}
		s.puts, err = coalesce.New(coalesce.Config[put, putResult]{
			Call:     func(ctx context.Context, batch []put) ([]putResult, error) { return q.putAll(ctx, s, batch) },
			Parallel: 1, ItemsMax: putItemsMax, BytesMax: putBytesMax, Weigh: put.weigh,
		})
		if err != nil {
			return nil, fmt.Errorf("redis queue: %w", err)
		}
		q.shards = append(q.shards, s)
	}
	// It would write beside our log, and what it has to say comes back as errors. Nobody else uses it.
	logging.Disable()
	q.client = where.open(config)
	q.bells = q.newBells()
	return q, nil
}

// Check tells whether the queue can be used: Redis answers, and its shards are as many as ours. Errors:
// stepwell.ErrUnavailable; stepwell.ErrInvalid if there is another number of shards.
func (q *Queue) Check(ctx context.Context) error {
	timed, cancel := context.WithTimeout(ctx, q.config.Timeout)
	defer cancel()
	stored, err := q.storedShards(timed)
	if err != nil {
		return q.failure(ctx, "look up the number of shards", err)
	}
	if stored != strconv.Itoa(q.config.Shards) {
		return stepwell.Invalidf("the queue %q in redis has %s shards and redis.shards is %d: they must be the same, as items "+
			"would not be found; set redis.shards to %s, or choose another redis.prefix",
			q.config.Prefix, stored, q.config.Shards, stored)
	}
	q.checked.Store(true)
	return nil
}

// storedShards is the number of shards in Redis: the first comer's is everybody's. It only writes what is missing, since a
// full Redis refuses to write, and whoever starts then must be able to take work out.
func (q *Queue) storedShards(ctx context.Context) (string, error) {
	key := countKey(q.config.Prefix)
	stored, err := q.client.Get(ctx, key).Result()
	if err != redis.Nil { //nolint:errorlint // as go-redis documents it
		return stored, err
	}
	if err := q.client.SetNX(ctx, key, q.config.Shards, 0).Err(); err != nil {
		return "", err
	}
	return q.client.Get(ctx, key).Result()
}

// ready checks once.
func (q *Queue) ready(ctx context.Context) error {
	if q.checked.Load() {
		return nil
	}
	return q.Check(ctx)
}

// Close lets what is under way finish, for as long as the context allows, and disconnects.
func (q *Queue) Close(ctx context.Context) error {
	var problems []error
	q.closing.Do(func() {
		q.starting.Lock()
		close(q.closed)
		q.starting.Unlock()
		for _, s := range q.shards {
			problems = append(problems, s.puts.Close(ctx))
			if s.takeToken() {
				q.wake(ctx, s) // somebody else's turn
			}
		}
		problems = append(problems, q.client.Close())
		q.listeners.Wait() // they end with their connections
	})
	return errors.Join(problems...)
}

// ShardCount implements queue.Shards.
func (q *Queue) ShardCount() int { return len(q.shards) }

// ShardOf implements queue.Shards. A limit is counted in one place: items with limits go by their function, and those with
// limits that functions share all to one shard.
func (q *Queue) ShardOf(item stepwell.Item) int {
	shared := func(key stepwell.LimitKey) bool { return key.Scope != stepwell.ScopeFunction }
	switch {
	case slices.ContainsFunc(item.Limits, shared):
		return q.spread([]byte("shared"))
	case len(item.Limits) > 0:
		return q.spread(item.Function.UUID[:])
	}
	return q.spread(item.Run.ULID[:])
}

// spread assigns a shard. It must never change: items would not be found.
func (q *Queue) spread(id []byte) int { return int(crc32.ChecksumIEEE(id) % uint32(len(q.shards))) }

// shardOf is the shard of an item.
func (q *Queue) shardOf(item stepwell.Item) *shard { return q.shards[q.ShardOf(item)] }

// sooner takes note that something becomes due or expires at this instant.
func (s *shard) sooner(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nextAt.IsZero() || at.Before(s.nextAt) {
		s.nextAt = at
	}
}

// saw takes note of what a look found: what becomes due or expires next, and whether there is ready work.
func (s *shard) saw(nextAt time.Time, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextAt, s.more = nextAt, more
}

// next is what saw and sooner noted.
func (s *shard) next() (nextAt time.Time, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nextAt, s.more
}

// giveToken takes note that the process took the wake token.
func (s *shard) giveToken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = true
}

// hasToken returns whether the process has the wake token.
func (s *shard) hasToken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// takeToken returns whether the process has the wake token, which it then has no more.
func (s *shard) takeToken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := s.token
	s.token = false
	return token
}
