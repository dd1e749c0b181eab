// Package pgtest gives tests a real Postgres: a private server for the test binary, and a fresh database for each test.
//
// It must not be used outside tests. TEST_POSTGRES_URL names a server to use instead of a private one; its user must be
// allowed to create databases.
package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Server is a Postgres server for one test binary.
type Server struct {
	// url is of the database that others are created from.
	url  string
	stop func()

	// used has an element for each database in use.
	used chan struct{}

	mu sync.Mutex
	// free are databases that were prepared and are empty again, by the name of their preparation.
	free      map[string][]string
	databases int
}

// Run starts a server, runs the tests with it, and stops it. It is for TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Run(m, func(s *pgtest.Server) { server = s })) }
func Run(m interface{ Run() int }, use func(*Server)) int {
	server, err := start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return 1
	}
	defer server.close()
	use(server)
	return m.Run()
}

// databasesMax bounds the databases that are used at a time, and so the connections: tests that run in parallel wait.
const databasesMax = 8

func start() (*Server, error) {
	server := &Server{url: os.Getenv("TEST_POSTGRES_URL"), stop: func() {}, free: map[string][]string{}, used: make(chan struct{}, databasesMax)}
	if server.url != "" {
		return server, nil
	}
	instance, err := launch()
	if err != nil {
		return nil, err
	}
	server.url, server.stop = instance.URL(), instance.remove
	return server, nil
}

// Database creates an empty database and returns its URL. It is dropped when the test ends.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	s.acquire(t)
	url := s.create(t)
	t.Cleanup(func() { require.NoError(t, s.drop(context.WithoutCancel(t.Context()), url)) })
	return url
}

// acquire waits until the test may have a database.
func (s *Server) acquire(t testing.TB) {
	t.Helper()
	s.used <- struct{}{}
	t.Cleanup(func() { <-s.used })
}

// Prepared returns a database as prepare makes it of an empty one, by its URL. Databases of the same name are used
// again, with all rows deleted: making one takes longer than most tests. So the test must not change the schema.
func (s *Server) Prepared(t testing.TB, name string, prepare func(url string) error) string {
	t.Helper()
	s.acquire(t)
	s.mu.Lock()
	free := s.free[name]
	var url string
	if len(free) > 0 {
		url, s.free[name] = free[len(free)-1], free[:len(free)-1]
	}
	s.mu.Unlock()
	if url == "" {
		url = s.create(t)
		require.NoError(t, prepare(url))
	}
	t.Cleanup(func() {
		require.NoError(t, execute(context.WithoutCancel(t.Context()), url, deleteAll))
		s.mu.Lock()
		defer s.mu.Unlock()
		s.free[name] = append(s.free[name], url)
	})
	return url
}

// deleteAll empties all tables but that of migrations, those that refer to others first. Tables of tests are small:
// deleting rows is faster than making new files.
const deleteAll = `DO $$
DECLARE found record;
BEGIN
	FOR found IN SELECT c.oid::regclass AS name FROM pg_class AS c
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace
			AND c.relname NOT LIKE 'goose%'
		ORDER BY (SELECT count(*) FROM pg_constraint AS k WHERE k.contype = 'f' AND k.conrelid = c.oid) DESC
	LOOP
		EXECUTE format('DELETE FROM %s', found.name);
	END LOOP;
END $$`

func (s *Server) create(t testing.TB) string {
	t.Helper()
	s.mu.Lock()
	s.databases++
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), s.databases)
	s.mu.Unlock()
	require.NoError(t, execute(t.Context(), s.url, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()))
	return s.urlOf(t, name)
}

func (s *Server) drop(ctx context.Context, url string) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("read URL: %w", err)
	}
	return execute(ctx, s.url, "DROP DATABASE "+pgx.Identifier{config.Database}.Sanitize()+" WITH (FORCE)")
}

// close drops the databases that were prepared, and stops the server.
func (s *Server) close() {
	for _, urls := range s.free {
		for _, url := range urls {
			if err := s.drop(context.Background(), url); err != nil {
				fmt.Fprintln(os.Stderr, "pgtest:", err)
			}
		}
	}
	s.stop()
}

// Execute runs a statement in a database, for tests of packages that do not talk to Postgres themselves.
func Execute(t testing.TB, url, statement string) {
	t.Helper()
	require.NoError(t, execute(t.Context(), url, statement))
}

func execute(ctx context.Context, url, statement string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

func (s *Server) urlOf(t testing.TB, database string) string {
	t.Helper()
	parsed, err := url.Parse(s.url)
	require.NoError(t, err)
	parsed.Path = "/" + strings.TrimPrefix(database, "/")
	return parsed.String()
}
