package target

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/stepwell/stepwell/tools/e2e/backend"
)

// Stores are what servers keep things in: one Postgres and one Redis for all, started when the first server needs them,
// with a database and a prefix of keys for each server.
type Stores struct {
	mu       sync.Mutex
	folder   string
	postgres *backend.Postgres
	redis    *backend.Redis
	count    int
}

// store is what one server keeps things in.
type store struct {
	databaseURL, redisURL, redisPrefix string
}

// Backup is what a server had in Postgres at one moment, and its keys. Nothing of Redis is in it.
type Backup struct {
	dump    []byte
	keys    keys
	address string
}

// Backup makes one of a server that works, which must be of the kind Start.
func (s *Stores) Backup(ctx context.Context, server *Server) (*Backup, error) {
	dump, err := s.postgres.Dump(ctx, server.store.databaseURL)
	return &Backup{dump: dump, keys: server.keys, address: strings.TrimPrefix(server.URLs[0], "http://")}, err
}

// restore returns a store in which is what was backed up.
func (s *Stores) restore(ctx context.Context, backup *Backup) (store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	name := fmt.Sprintf("e2e_%d", s.count)
	url, err := s.postgres.Restore(ctx, backup.dump, name)
	return store{databaseURL: url, redisURL: s.redis.URL(), redisPrefix: name}, err
}

// next returns a store in which nothing is.
func (s *Stores) next(ctx context.Context) (store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.redis == nil {
		if err := s.open(context.WithoutCancel(ctx)); err != nil {
			return store{}, err
		}
	}
	s.count++
	name := fmt.Sprintf("e2e_%d", s.count)
	url, err := s.postgres.CreateDatabase(ctx, name)
	if err != nil {
		return store{}, err
	}
	return store{databaseURL: url, redisURL: s.redis.URL(), redisPrefix: name}, nil
}

func (s *Stores) open(ctx context.Context) error {
	var err error
	if s.folder == "" {
		if s.folder, err = os.MkdirTemp("", "stepwell-e2e"); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	if s.postgres == nil {
		if s.postgres, err = backend.StartPostgres(ctx, s.folder); err != nil {
			return err
		}
	}
	s.redis, err = backend.StartRedis(ctx, s.folder)
	return err
}

// Close stops them and deletes what they hold.
func (s *Stores) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.postgres != nil {
		s.postgres.Stop()
	}
	if s.redis != nil {
		s.redis.Stop()
	}
	if s.folder == "" {
		return nil
	}
	return os.RemoveAll(s.folder)
}

// databaseEnv and redisEnv tell a program where the store is.
func (s store) databaseEnv() []string { return []string{"DATABASE_URL=" + s.databaseURL} }

func (s store) redisEnv() []string {
	return []string{"REDIS_URL=" + s.redisURL, "STEPWELL_REDIS_PREFIX=" + s.redisPrefix}
}
