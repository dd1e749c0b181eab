package redisqueue

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stepwell/stepwell/services/internal/telemetry"
)

//go:embed scripts/*.lua scripts/lib/*.lua
var scriptFiles embed.FS

// scripts are the verbs of a shard, each in its file. Redis runs a script as one command, so nobody sees half of it.
type scripts struct {
	put, lease, advance, extend, release, bury, remove *script
	take                                               *script
	stats, dead, redrive, limit, waiting, depths       *script
	lock, prolong, unlock, rebuilt, begun, windows     *script
}

// loadScripts reads the files. Their text is sent to Redis when it first does not know it.
func loadScripts() (scripts, error) {
	var s scripts
	var problems []error
	load := func(name string, idempotent bool) *script {
		loaded, err := loadScript(name)
		problems = append(problems, err)
		loaded.idempotent = idempotent
		return loaded
	}
	s.put = load("put", true)
	s.lease = load("lease", false) // a second one would leave what the first leased to expire
	s.advance = load("advance", true)
	s.take = load("take", false) // a second one would not find what the first took
	s.extend = load("extend", true)
	s.release = load("release", true)
	s.bury = load("bury", true)
	s.remove = load("remove", true)
	s.stats = load("stats", true)
	s.dead = load("dead", true)
	s.limit = load("limit", true)
	s.waiting = load("waiting", true)
	s.depths = load("depths", true)
	s.redrive = load("redrive", false) // a second one would not find the item dead
	s.lock = load("lock", true)
	s.prolong = load("prolong", true)
	s.unlock = load("unlock", true)
	s.rebuilt = load("rebuilt", true)
	s.begun = load("begun", true)
	s.windows = load("windows", true)
	return s, errors.Join(problems...)
}

// script is a Lua script with what its header says.
type script struct {
	name string
	// source is the file. text is what Redis runs, hash by what it knows it once it did.
	source, text, hash string
	// keys are the names of its keys, in order; arguments its arguments as in the header.
	keys      []string
	arguments []string
	// idempotent scripts may be sent again when it is not known whether they ran.
	idempotent bool
	// answered and failed are the labels of its calls.
	answered, failed telemetry.Labels
}

// limiterMark is in the text of scripts that need the library.
const limiterMark = "local limiter = limiter("

func loadScript(name string) (*script, error) {
	source, err := scriptFiles.ReadFile("scripts/" + name + ".lua")
	text := string(source)
	if strings.Contains(text, limiterMark) {
		library, libraryErr := scriptFiles.ReadFile("scripts/lib/limiter.lua")
		text, err = string(library)+text, errors.Join(err, libraryErr)
	}
	s := &script{name: name, source: string(source), text: text, hash: redis.NewScript(text).Hash()}
	s.answered, s.failed = labelsOf(name, "answered"), labelsOf(name, "failed")
	for line := range strings.Lines(string(source)) {
		if list, found := strings.CutPrefix(line, "-- KEYS: "); found {
			s.keys = strings.Fields(list)
		}
		if list, found := strings.CutPrefix(line, "-- ARGV: "); found {
			s.arguments = strings.Fields(list)
		}
	}
	unknown := func(key string) bool { return !isKey(key) }
	if err == nil && (len(s.keys) == 0 || slices.ContainsFunc(s.keys, unknown)) {
		err = fmt.Errorf("script %s names the keys %q, it must name one at least and only those of a shard", name, s.keys)
	}
	return s, err
}

// call is a script with what it is called with.
type call struct {
	script    *script
	keys      []string
	arguments []any
}

// newCall prepares a script for a shard. lock replaces the key of that name, if the script has one.
func newCall(s *script, k keys, lock string, arguments ...any) call {
	c := call{script: s, keys: make([]string, len(s.keys)), arguments: arguments}
	for i, name := range s.keys {
		if c.keys[i] = k.named(name); name == keyLock {
			c.keys[i] = k.lock(lock)
		}
	}
	return c
}

// reply is what came of a call.
type reply struct {
	value any
	err   error
}

// run makes the calls in one round trip, in their order as far as they are of the same shard.
func (q *Queue) run(ctx context.Context, calls ...call) []reply {
	ctx, cancel := context.WithTimeout(ctx, q.config.Timeout)
	defer cancel()
	replies := make([]reply, len(calls))
	began := time.Now()
	defer func() { q.metrics.count(ctx, time.Since(began), calls, replies, q.scripts.advance) }()
	if len(calls) == 1 {
		replies[0] = q.runOne(ctx, calls[0])
		return replies
	}
	pipe := q.client.Pipeline()
	sent := make([]*redis.Cmd, len(calls))
	for i, c := range calls {
		sent[i] = c.command(ctx, "evalsha", c.script.hash)
		_ = pipe.Process(ctx, c.guarded(sent[i])) // it only queues
	}
	_, _ = pipe.Exec(ctx) // every command has its error
	for i, c := range calls {
		replies[i].value, replies[i].err = sent[i].Result()
		if redis.HasErrorPrefix(replies[i].err, "NOSCRIPT") {
			replies[i] = q.runOne(ctx, c)
		}
	}
	return replies
}

// runOne makes a call, with the script's text if Redis does not know it: at first, after a restart or SCRIPT FLUSH.
func (q *Queue) runOne(ctx context.Context, c call) reply {
	sent := c.command(ctx, "evalsha", c.script.hash)
	_ = q.client.Process(ctx, c.guarded(sent)) // the command has its error
	if redis.HasErrorPrefix(sent.Err(), "NOSCRIPT") {
		sent = c.command(ctx, "eval", c.script.text)
		_ = q.client.Process(ctx, c.guarded(sent))
	}
	value, err := sent.Result()
	return reply{value, err}
}

// command is the call as a command.
func (c call) command(ctx context.Context, verb, body string) *redis.Cmd {
	arguments := make([]any, 0, 3+len(c.keys)+len(c.arguments))
	arguments = append(arguments, verb, body, len(c.keys))
	for _, key := range c.keys {
		arguments = append(arguments, key)
	}
	return redis.NewCmd(ctx, append(arguments, c.arguments...)...)
}

// guarded keeps go-redis from sending a command again that must not run twice.
func (c call) guarded(command *redis.Cmd) redis.Cmder {
	if c.script.idempotent {
		return command
	}
	return once{command}
}

// once is a command that is sent once.
type once struct{ *redis.Cmd }

// NoRetry implements redis.Cmder.
func (once) NoRetry() bool { return true }
