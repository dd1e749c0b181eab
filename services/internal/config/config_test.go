package config_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/config"
)

// server is what a program might set.
type server struct {
	DatabaseURL config.Secret   `koanf:"database_url" doc:"where Postgres is"`
	Keys        keys            `koanf:"keys"`
	Executor    executor        `koanf:"executor"`
	HTTP        listener        `koanf:"http"`
	LogLevel    slog.Level      `koanf:"log_level" doc:"debug, info, warn or error"`
	Transport   map[string]bool `koanf:"-"`
	common
}

type keys struct {
	Event   []config.Secret `koanf:"event" doc:"keys of publishers"`
	Signing []config.Secret `koanf:"signing" doc:"keys of apps; the first one signs"`
}

type executor struct {
	Workers  int           `koanf:"workers" doc:"how many items are worked on at a time"`
	LeaseFor time.Duration `koanf:"lease_for" doc:"how long an item stays with a silent executor"`
	Share    float64       `koanf:"share" doc:"0 to 1"`
}

func (e executor) Validate() error {
	var problems []error
	if e.Workers <= 0 {
		problems = append(problems, fmt.Errorf("workers is %d, it must be above 0", e.Workers))
	}
	if e.LeaseFor < time.Second {
		problems = append(problems, fmt.Errorf("lease_for is %s, it must be at least 1s", e.LeaseFor))
	}
	if e.Share > 1 {
		problems = append(problems, errors.New("the share is too large"))
	}
	return errors.Join(problems...)
}

type listener struct {
	Port    uint16       `koanf:"port" doc:"port for HTTP"`
	BodyMax config.Bytes `koanf:"body_max" doc:"largest body"`
	Origins []string     `koanf:"origins" doc:"who may publish from a browser; * | none"`
	TLS     struct {
		Enabled bool `koanf:"enabled" doc:"whether to encrypt"`
	} `koanf:"tls"`
}

type common struct {
	Name string `koanf:"name" doc:"what this server is called in logs"`
}

func (c *common) Validate() error {
	if strings.ContainsRune(c.Name, ' ') {
		return errors.New("name has a space")
	}
	return nil
}

func defaults() server {
	return server{
		Executor: executor{Workers: 100, LeaseFor: 30 * time.Second, Share: 0.5},
		HTTP:     listener{Port: 8080, BodyMax: 32 << 20, Origins: []string{"https://a.example", "https://b.example"}},
	}
}

func options() config.Options {
	return config.Options{
		EnvPrefix:   "STEPWELL_",
		EnvAliases:  map[string]string{"DATABASE_URL": "database_url", "PG_URL": "database_url"},
		EnvForeign:  []string{"STEPWELL_SERVER"},
		FlagAliases: map[string]string{"port": "http.port"},
	}
}

// settings describes a fresh struct.
func settings(t *testing.T) (*server, *config.Settings) {
	t.Helper()
	cfg := defaults()
	s, err := config.For(&cfg, options())
	require.NoError(t, err)
	return &cfg, s
}

// file writes a file and returns its path.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func flags(t *testing.T, s *config.Settings, args ...string) *pflag.FlagSet {
	t.Helper()
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	s.AddFlags(set)
	require.NoError(t, set.Parse(args))
	return set
}

func TestStrongerSourcesWin(t *testing.T) {
	t.Parallel()
	path := file(t, "stepwell.yaml", "executor: {workers: 1, lease_for: 1m, share: 0.1}\nhttp: {port: 1}\n")
	for _, test := range []struct {
		file    string
		environ []string
		args    []string
		want    int
	}{
		{want: 100},
		{file: path, want: 1},
		{file: path, environ: []string{"STEPWELL_EXECUTOR_WORKERS=2"}, want: 2},
		{environ: []string{"STEPWELL_EXECUTOR_WORKERS=2"}, args: []string{"--executor-workers=3"}, want: 3},
		{file: path, args: []string{"--executor-workers", "3"}, want: 3},
		{file: path, environ: []string{"STEPWELL_EXECUTOR_WORKERS="}, want: 1},
		{args: []string{"--executor-workers=3", "--executor-workers=4"}, want: 4},
	} {
		cfg, s := settings(t)
		require.NoError(t, s.Load(config.Sources{File: test.file, Environ: test.environ, Flags: flags(t, s, test.args...)}))
		require.Equal(t, test.want, cfg.Executor.Workers)
		if test.file != "" {
			require.Equal(t, time.Minute, cfg.Executor.LeaseFor, "what a stronger source leaves out stays")
		}
	}
}

func TestEverythingCanBeSetInEveryWay(t *testing.T) {
	t.Parallel()
	want := server{
		DatabaseURL: config.NewSecret("postgres://a:b@c/d?e=1,2"),
		Keys:        keys{Signing: []config.Secret{config.NewSecret("s1"), config.NewSecret("007")}},
		Executor:    executor{Workers: 7, LeaseFor: 36 * time.Hour, Share: 1e-2},
		HTTP:        listener{Port: 65535, BodyMax: 64 << 20, Origins: []string{"https://c.example", "*"}},
		LogLevel:    slog.LevelDebug,
		common:      common{Name: "0123"},
	}
	want.HTTP.TLS.Enabled = true
	path := file(t, "all.yaml", `
database_url: postgres://a:b@c/d?e=1,2
keys:
  event:
  signing: [s1, 007]
executor:
  workers: 7
  lease_for: 1d12h
  share: 1e-2
http:
  port: 65535
  body_max: 64MiB
  origins:
    - https://c.example
    - "*"
  tls: {enabled: true}
log_level: debug
name: 0123
`)
	environ := []string{
		"HOME=/", "STEPWELL_DATABASE_URL=postgres://a:b@c/d?e=1,2", "STEPWELL_KEYS_SIGNING=s1, 007,",
		"STEPWELL_EXECUTOR_WORKERS=7",
		"STEPWELL_EXECUTOR_LEASE_FOR=1d12h", "STEPWELL_EXECUTOR_SHARE=1e-2", "STEPWELL_HTTP_PORT=65535",
		"STEPWELL_HTTP_BODY_MAX=64MiB", "STEPWELL_HTTP_ORIGINS=https://c.example,*", "STEPWELL_HTTP_TLS_ENABLED=true",
		"STEPWELL_LOG_LEVEL=debug", "STEPWELL_NAME=0123",
	}
	args := []string{
		"--database-url", "postgres://a:b@c/d?e=1,2", "--keys-signing=s1", "--keys-signing=007", "--executor-workers=7",
		"--executor-lease-for=1d12h", "--executor-share=1e-2", "--port=65535", "--http-body-max=64MiB",
		"--http-origins=https://c.example,*", "--http-tls-enabled", "--log-level=debug", "--name=0123",
	}
	for name, from := range map[string]config.Sources{
		"file": {File: path}, "environment": {Environ: environ}, "flags": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, s := settings(t)
			if name == "flags" {
				from.Flags = flags(t, s, args...)
			}
			require.NoError(t, s.Load(from))
			require.Equal(t, want, *cfg)
		})
	}
}

func TestAliases(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		environ []string
		want    string
	}{
		{[]string{"DATABASE_URL=a"}, "a"},
		{[]string{"PG_URL=b"}, "b"},
		{[]string{"PG_URL=b", "DATABASE_URL=a"}, "a"},
		{[]string{"STEPWELL_DATABASE_URL=c", "DATABASE_URL=a"}, "c"},
		{[]string{"DATABASE_URL=a", "STEPWELL_DATABASE_URL="}, "a"},
	} {
		cfg, s := settings(t)
		require.NoError(t, s.Load(config.Sources{Environ: test.environ}))
		require.Equal(t, test.want, cfg.DatabaseURL.Reveal())
	}
	cfg, s := settings(t)
	require.NoError(t, s.Load(config.Sources{Flags: flags(t, s, "--port", "1")}))
	require.Equal(t, uint16(1), cfg.HTTP.Port)
	_, s = settings(t)
	err := s.Load(config.Sources{Flags: flags(t, s, "--port", "1", "--http-port", "2")})
	require.EqualError(t, err, "flag --http-port and flag --port both give http.port: remove one")
}

// TestAllProblemsComeAtOnce: each with its source.
func TestAllProblemsComeAtOnce(t *testing.T) {
	t.Parallel()
	path := file(t, "bad.yaml", `executor:
  worker: 5
  lease_for: 30
  share: 2
workers: 5
http:
  origins: https://a.example
  tls: on
  port: [1]
http.port: 5
keys:
  signing: [[a]]
name: {a: b}
log_level: loud
log_level: info
`)
	_, s := settings(t)
	err := s.Load(config.Sources{
		File: path,
		Environ: []string{
			"STEPWELL_EXECUTOR_WORKRES=9", "STEPWELL_EXECUTOR_WORKERS=many", "STEPWELL_HTTP_PORT=70000",
			"STEPWELL_HTTP_TLS_ENABLED=yes", "STEPWELL_NAME=my server", "STEPWELL_KEYS_SIGNING_FILE=/nowhere",
		},
		Flags: flags(t, s, "--http-body-max=1Mb", "--executor-lease-for=1ms"),
	})
	var failure *config.LoadError
	require.ErrorAs(t, err, &failure)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Equal(t, []string{
		path + ":2: executor.worker is not a setting; did you mean executor.workers?",
		path + ":5: workers is not a setting; did you mean executor.workers?",
		path + ":7: http.origins must be a list of single values: [a, b]",
		path + ":8: http.tls is a section: it must have keys with values",
		path + ":9: http.port must be a single value",
		path + ":10: http.port: write one key in the other, without a dot",
		path + ":12: keys.signing must be a list of single values: [a, b]",
		path + ":13: name must be a single value",
		path + ":15: log_level is there twice",
		"environment variable STEPWELL_EXECUTOR_WORKRES is not a setting; did you mean STEPWELL_EXECUTOR_WORKERS?",
		"environment variable STEPWELL_KEYS_SIGNING_FILE: keys.signing_file: open /nowhere: no such file or directory",
		`environment variable STEPWELL_EXECUTOR_WORKERS: executor.workers: "many" is not a whole number`,
		`environment variable STEPWELL_HTTP_PORT: http.port: "70000" is too large`,
		`flag --http-body-max: http.body_max: "1Mb" is not a size such as 512KiB, 64MiB, 1GB or 1024`,
		`environment variable STEPWELL_HTTP_TLS_ENABLED: http.tls.enabled: "yes" is neither true nor false`,
		path + `:14: log_level: slog: level string "loud": unknown name`,
		"flag --executor-lease-for: executor.lease_for is 1ms, it must be at least 1s",
		"executor: the share is too large",
		"environment variable STEPWELL_NAME: name has a space",
	}, strings.Split(err.Error(), "\n"))
}

func TestFilesThatAreNone(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ content, problem string }{
		"list":            {"- a\n", ":1: the file must have keys with values"},
		"text":            {"hello", ":1: the file must have keys with values"},
		"no YAML":         {"a: [", ": yaml: line 1: did not find expected node content"},
		"two documents":   {"name: a\n---\nname: b\n", ": there is more than one document"},
		"too large":       {strings.Repeat("# \n", 1<<19), " is larger than 1048576 bytes"},
		"a value alone":   {"5", ":1: the file must have keys with values"},
		"a circle":        {"name: &n {name: *n}", ":1: name must be a single value"},
		"a merged key":    {"a: &a {b: 1}\n<<: *a", ":1: a is not a setting; did you mean name?"},
		"number for list": {"keys: {event: 5}", ":1: keys.event must be a list of single values: [a, b]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, s := settings(t)
			path := file(t, "f.yaml", test.content)
			require.ErrorContains(t, s.Load(config.Sources{File: path}), path+test.problem)
		})
	}
	_, s := settings(t)
	require.ErrorIs(t, s.Load(config.Sources{File: "/nowhere.yaml"}), os.ErrNotExist)
	for _, content := range []string{
		"", "# nothing\n", "---\n", "executor:\n", "executor: {workers: }\n", "executor: {}",
	} {
		cfg, s := settings(t)
		require.NoError(t, s.Load(config.Sources{File: file(t, "empty.yaml", content)}), content)
		require.Equal(t, defaults(), *cfg)
	}
}

// TestVariablesOfKubernetesAreNobodysSettings: it makes them for every service of the namespace.
func TestVariablesOfKubernetesAreNobodysSettings(t *testing.T) {
	t.Parallel()
	cfg, s := settings(t)
	require.NoError(t, s.Load(config.Sources{Environ: []string{
		"STEPWELL_STATE_SERVICE_HOST=10.0.0.1", "STEPWELL_STATE_SERVICE_PORT=9000", "STEPWELL_STATE_SERVICE_PORT_GRPC=9000",
		"STEPWELL_STATE_PORT=tcp://10.0.0.1:9000", "STEPWELL_STATE_PORT_9000_TCP=tcp://10.0.0.1:9000",
		"STEPWELL_STATE_PORT_9000_TCP_PROTO=tcp", "STEPWELL_STATE_PORT_9000_TCP_PORT=9000",
		"STEPWELL_STATE_PORT_9000_TCP_ADDR=10.0.0.1", "STEPWELL_HTTP_PORT=tcp://10.0.0.2:80", "STEPWELL_SERVER=http://x",
	}}))
	require.Equal(t, defaults(), *cfg)
	for variable, problem := range map[string]string{
		"STEPWELL_STATE_PORT=9000": "STEPWELL_STATE_PORT is not a setting", "STEPWELL_HTTP_PORT=x": "is not a whole number",
	} {
		require.ErrorContains(t, s.Load(config.Sources{Environ: []string{variable}}), problem)
	}
}

func TestOnlyWhatIsUsedIsValidated(t *testing.T) {
	t.Parallel()
	s := defaults()
	s.Executor.Workers, s.Executor.LeaseFor = 0, 0
	settings, err := config.For(&s, config.Options{EnvPrefix: "STEPWELL_"})
	require.NoError(t, err)
	err = settings.Load(config.Sources{Only: []string{"executor.workers"}, Environ: []string{"STEPWELL_LOG_LEVL=debug"}})
	require.ErrorContains(t, err, "executor.workers is 0")
	require.ErrorContains(t, err, "STEPWELL_LOG_LEVL is not a setting", "what is unknown is refused all the same")
	require.NotContains(t, err.Error(), "lease_for")
}
