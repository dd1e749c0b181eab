package meter

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// commandsShown is how many commands are shown by name, the most frequent ones.
const commandsShown = 6

// redisMeter counts in one Redis.
type redisMeter struct {
	client *redis.Client
	// topOnly are the commands that a script cannot or would not call.
	topOnly map[string]bool
}

// redisReading is what the counters showed.
type redisReading struct {
	calls  map[string]int64
	memory int64
}

func openRedis(ctx context.Context, url string) (*redisMeter, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	m := &redisMeter{client: redis.NewClient(options), topOnly: map[string]bool{}}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	commands, err := m.client.Command(ctx).Result()
	if err != nil {
		m.close()
		return nil, fmt.Errorf("list its commands: %w", err)
	}
	for name, command := range commands {
		m.topOnly[name] = slices.Contains(command.Flags, "noscript") || slices.Contains(command.ACLFlags, "@connection")
	}
	return m, nil
}

func (m *redisMeter) close() { _ = m.client.Close() } // we only read

func (m *redisMeter) read(ctx context.Context) (redisReading, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	text, err := m.client.Info(ctx, "everything").Result()
	if err != nil {
		return redisReading{}, fmt.Errorf("read its counters: %w", err)
	}
	return parseInfo(text)
}

// parseInfo reads the answer to INFO. Those who ask for it are not counted.
func parseInfo(text string) (redisReading, error) {
	r := redisReading{calls: map[string]int64{}}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		command, isCommand := strings.CutPrefix(name, "cmdstat_")
		var err error
		switch {
		case name == "used_memory":
			r.memory, err = strconv.ParseInt(value, 10, 64)
		case isCommand && command != "info":
			calls, _, _ := strings.Cut(strings.TrimPrefix(value, "calls="), ",")
			r.calls[command], err = strconv.ParseInt(calls, 10, 64)
		}
		if err != nil {
			return r, fmt.Errorf("%q in its counters: %w", lines.Text(), err)
		}
	}
	if len(r.calls) == 0 || r.memory == 0 {
		return r, errors.New("its INFO has no commandstats or no memory")
	}
	return r, nil
}

// redis adds what Redis did.
func (d *difference) redis(before, after redisReading, topOnly map[string]bool) {
	spent := map[string]int64{}
	var top, inside int64
	for command, calls := range after.calls {
		spent[command] = calls - before.calls[command]
		// What has subcommands, such as client|setinfo, administers.
		if topOnly[command] || strings.Contains(command, "|") {
			top += spent[command]
		} else {
			inside += spent[command]
		}
	}
	d.each("Redis commands", float64(top+inside))
	d.each("Redis commands, top level", float64(top))
	d.each("Redis commands, inside scripts", float64(inside))
	names := slices.SortedFunc(maps.Keys(spent), func(a, b string) int {
		return cmp.Or(cmp.Compare(spent[b], spent[a]), cmp.Compare(a, b))
	})
	for _, name := range names[:min(commandsShown, len(names))] {
		if spent[name] > 0 {
			d.each("Redis "+name, float64(spent[name]))
		}
	}
	d.each("Redis memory bytes grown", float64(after.memory-before.memory))
}
