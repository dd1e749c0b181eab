// Package meter counts what a server spends: CPU time and memory of its processes, work of its Postgres and its Redis.
//
// It must not know what the server is asked to do.
package meter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Number is something that was counted.
type Number struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// Config says where the server is.
type Config struct {
	// Processes are counted with all that descend from them, unless those are named themselves.
	Processes []Process
	// PostgresURL and RedisURL may be empty.
	PostgresURL string
	RedisURL    string
}

const (
	// settle is how long a Postgres backend that is idle may keep what it counted to itself.
	settle = 10500 * time.Millisecond
	// grace is how long after the last answer a server may still work on it.
	grace = 100 * time.Millisecond
	// timeout bounds a question to Postgres or Redis. A checkpoint may take long.
	timeout = time.Minute
)

// Meter is not safe for concurrent use.
type Meter struct {
	config   Config
	postgres *postgres
	redis    *redisMeter
	// isSettled is false while Postgres may hold back what happened before the first piece of work.
	isSettled bool
}

// Open connects to what is to be counted.
func Open(ctx context.Context, config Config) (*Meter, error) {
	m := &Meter{config: config}
	var err error
	if config.PostgresURL != "" {
		if m.postgres, err = openPostgres(ctx, config.PostgresURL); err != nil {
			return nil, fmt.Errorf("postgres: %w", err)
		}
	}
	if config.RedisURL != "" {
		if m.redis, err = openRedis(ctx, config.RedisURL); err != nil {
			m.Close()
			return nil, fmt.Errorf("redis: %w", err)
		}
	}
	return m, nil
}

// Close ends the connections.
func (m *Meter) Close() {
	if m.postgres != nil {
		m.postgres.close()
	}
	if m.redis != nil {
		m.redis.close()
	}
}

// Reading is what all counters showed at a moment.
type Reading struct {
	cpu      map[string]time.Duration
	memory   map[string]int64
	postgres postgresReading
	redis    redisReading
}

// Begin reads the counters before a piece of work. Postgres gets a checkpoint first, so that each piece begins alike.
func (m *Meter) Begin(ctx context.Context) (Reading, error) {
	if m.postgres != nil {
		if !m.isSettled {
			if err := pause(ctx, settle); err != nil {
				return Reading{}, err
			}
			m.isSettled = true
		}
		if err := m.postgres.checkpoint(ctx); err != nil {
			return Reading{}, fmt.Errorf("postgres: %w", err)
		}
	}
	return m.read(ctx)
}

func (m *Meter) read(ctx context.Context) (r Reading, err error) {
	if r.cpu, err = cpuTimes(m.config.Processes); err != nil {
		return r, err
	}
	if r.memory, err = memories(m.config.Processes); err != nil {
		return r, err
	}
	if m.redis != nil {
		if r.redis, err = m.redis.read(ctx); err != nil {
			return r, fmt.Errorf("redis: %w", err)
		}
	}
	if m.postgres != nil {
		if r.postgres, err = m.postgres.read(ctx); err != nil {
			return r, fmt.Errorf("postgres: %w", err)
		}
	}
	return r, nil
}

// Work is a piece of work: what was spent is divided by how much there was of it.
type Work struct {
	// Unit is the name of one of it, such as run.
	Unit  string
	Count float64
	// Idle is for a time without work. What Postgres counts late is then as much at the end as at the beginning.
	Idle bool
}

// End reads the counters after a piece of work and returns what was spent on each unit of it.
func (m *Meter) End(ctx context.Context, before Reading, work Work) ([]Number, error) {
	if work.Count <= 0 {
		return nil, errors.New("there was no work to divide by")
	}
	if !work.Idle {
		if err := pause(ctx, grace); err != nil {
			return nil, err
		}
	}
	after, err := m.read(ctx)
	if err != nil {
		return nil, err
	}
	d := &difference{work: work}
	for _, process := range m.config.Processes {
		d.add("CPU ms", process.Name, (after.cpu[process.Name]-before.cpu[process.Name]).Seconds()*1000)
	}
	d.sum("CPU ms")
	if m.postgres != nil {
		if after.postgres, err = m.settled(ctx, after.postgres, work); err != nil {
			return nil, fmt.Errorf("postgres: %w", err)
		}
		d.postgres(before.postgres, after.postgres)
	}
	if m.redis != nil {
		d.redis(before.redis, after.redis, m.redis.topOnly)
	}
	for _, process := range m.config.Processes {
		now := after.memory[process.Name]
		d.total("memory MiB of "+process.Name, float64(now)/(1<<20))
		d.add("memory bytes grown", process.Name, float64(now-before.memory[process.Name]))
	}
	return d.numbers, nil
}

// settled completes a reading by what Postgres tells late, and by its size after a checkpoint.
func (m *Meter) settled(ctx context.Context, r postgresReading, work Work) (postgresReading, error) {
	if !work.Idle {
		if err := pause(ctx, settle); err != nil {
			return r, err
		}
		late, err := m.postgres.read(ctx)
		if err != nil {
			return r, err
		}
		r.transactions = late.transactions
	}
	if err := m.postgres.checkpoint(ctx); err != nil {
		return r, err
	}
	late, err := m.postgres.read(ctx)
	r.checkpointedSize = late.size
	return r, err
}

func pause(ctx context.Context, duration time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(duration):
		return nil
	}
}

// difference is what was spent between two readings.
type difference struct {
	work    Work
	numbers []Number
}

// total adds a number that is not divided.
func (d *difference) total(name string, value float64) {
	d.numbers = append(d.numbers, Number{Name: name, Value: value})
}

// each adds a number for each unit of the work.
func (d *difference) each(name string, value float64) {
	d.total(name+" per "+d.work.Unit, value/d.work.Count)
}

// add adds a process's part of a number.
func (d *difference) add(name, process string, value float64) { d.each(name+" of "+process, value) }

// sum adds the sum of what was added under the name, if there is more than one.
func (d *difference) sum(name string) {
	var sum float64
	count := 0
	for _, number := range d.numbers {
		if strings.HasPrefix(number.Name, name+" of ") {
			sum += number.Value
			count++
		}
	}
	if count > 1 {
		d.total(name+" per "+d.work.Unit, sum)
	}
}
