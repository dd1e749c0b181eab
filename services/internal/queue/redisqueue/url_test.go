package redisqueue

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/telemetry"
)

func TestURLOfOneServer(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		address, user, password string
		db                      int
		tls                     bool
	}{
		"redis://localhost":                             {address: "localhost:6379"},
		"redis://localhost:7000/3":                      {address: "localhost:7000", db: 3},
		"redis://:secret@redis.example/":                {address: "redis.example:6379", password: "secret"},
		"redis://app:s%40cr%2Ft@[::1]:7000/1":           {address: "[::1]:7000", user: "app", password: "s@cr/t", db: 1},
		"rediss://app:secret@redis.example:6380":        {address: "redis.example:6380", user: "app", password: "secret", tls: true},
		"rediss://redis.example?db=2&skip_verify=false": {address: "redis.example:6379", db: 2, tls: true},
	} {
		got, err := parseURL(text)
		require.NoError(t, err, text)
		require.NotNil(t, got.single, text)
		require.Equal(t, want.address, got.single.Addr, text)
		require.Equal(t, want.address, got.addresses(), text)
		require.Equal(t, want.user, got.single.Username, text)
		require.Equal(t, want.password, got.single.Password, text)
		require.Equal(t, want.db, got.single.DB, text)
		require.Equal(t, want.tls, got.single.TLSConfig != nil, text)
	}
}

func TestURLOfACluster(t *testing.T) {
	t.Parallel()
	got, err := parseURL("rediss+cluster://app:s%40cret@a.example:7000,b.example,[::1]:7001?read_timeout=2s")
	require.NoError(t, err)
	require.Equal(t, []string{"a.example:7000", "b.example:6379", "[::1]:7001"}, got.cluster.Addrs)
	require.Equal(t, "a.example:7000,b.example:6379,[::1]:7001", got.addresses())
	require.Equal(t, "app", got.cluster.Username)
	require.Equal(t, "s@cret", got.cluster.Password)
	require.Equal(t, "2s", got.cluster.ReadTimeout.String())
	require.NotNil(t, got.cluster.TLSConfig)
	got, err = parseURL("redis+cluster://a.example")
	require.NoError(t, err)
	require.Equal(t, []string{"a.example:6379"}, got.cluster.Addrs)
	require.Nil(t, got.cluster.TLSConfig)
}

func TestURLOfSentinels(t *testing.T) {
	t.Parallel()
	got, err := parseURL("redis+sentinel://app:s%40cret@a.example:7000,b.example/main/2" +
		"?sentinel_username=watch&sentinel_password=p%40ss")
	require.NoError(t, err)
	o := got.failover
	require.Equal(t, []string{"a.example:7000", "b.example:26379"}, o.SentinelAddrs)
	require.Equal(t, "a.example:7000,b.example:26379 (sentinels)", got.addresses())
	require.Equal(t, "main", o.MasterName)
	require.Equal(t, 2, o.DB)
	require.Equal(t, []string{"app", "s@cret"}, []string{o.Username, o.Password})
	require.Equal(t, []string{"watch", "p@ss"}, []string{o.SentinelUsername, o.SentinelPassword})
	require.Nil(t, o.TLSConfig)

	got, err = parseURL("rediss+sentinel://:secret@a.example/main")
	require.NoError(t, err)
	require.Equal(t, []string{"", "secret"}, []string{got.failover.Username, got.failover.Password})
	require.Empty(t, got.failover.SentinelPassword, "the sentinels have a password of their own")
	require.NotNil(t, got.failover.TLSConfig)
}

func TestBadURLNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                "redis_url is empty",
		"localhost:6379":                  "there is no scheme",
		"http://localhost":                "scheme",
		"redis+proxy://localhost":         `the scheme "redis+proxy" is not known`,
		"http+cluster://localhost":        "scheme",
		"redis://localhost/queue":         "database number",
		"redis://localhost?color=red":     "color",
		"redis+cluster://":                "a host is missing",
		"redis+cluster://a,,b":            "a host is missing",
		"redis+cluster://a/1":             "a cluster has no database number",
		"redis+sentinel://a":              "the path must be /master or /master/db",
		"redis+sentinel://a/main/1/2":     "the path must be /master or /master/db",
		"redis+sentinel://a/main/queue":   "database number",
		"redis://localhost?read_timeout=": "",
	} {
		err := CheckURL(text)
		if want == "" {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "redis+sentinel://user:password@host1,host2/master", text)
	}
}

func TestBadURLDoesNotShowItsPassword(t *testing.T) {
	t.Parallel()
	const secret = "hunter"
	for _, text := range []string{
		"redis://app:hunter@localhost/queue", "redis://:hunter%zz@localhost", "redis://app:hunter/2@localhost",
		"redis+cluster://app:hunter@a,,b", "redis+cluster://app:hunter@a/1", "redis+sentinel://app:hunter@a",
		"redis+sentinel://a/main?sentinel_password=hunter&color=red", "app:hunter@localhost", "redis://hunter@local host",
		"redis+hunter://app:hunter@localhost", "redis://app:hunter?@localhost", "redis://app:hunter#@localhost/queue",
	} {
		config := DefaultConfig()
		config.URL = text
		err := CheckURL(text)
		require.Error(t, err, text)
		require.NotContains(t, strings.ToLower(err.Error()), secret, text)
		_, err = New(config, telemetry.Telemetry{})
		require.Error(t, err, text)
		require.NotContains(t, strings.ToLower(err.Error()), secret, text)
	}
}

func TestConfigTellsEveryProblem(t *testing.T) {
	t.Parallel()
	err := Config{Prefix: "a{b}", Shards: shardsMax + 1, Connections: -1}.Validate()
	for _, want := range []string{
		`prefix is "a{b}", it must have 1 to 100 bytes and no braces`,
		"shards is 257, it must be between 1 and 256",
		"timeout is 0s, it must be at least 10ms",
		"connections is -1, it must be between 1 and 1000",
	} {
		require.ErrorContains(t, err, want)
	}
}
