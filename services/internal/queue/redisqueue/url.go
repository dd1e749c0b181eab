package redisqueue

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// urlForms is what a redis_url may look like.
const urlForms = "redis://user:password@host:port/db, rediss:// for TLS, redis+cluster://user:password@host1,host2, " +
	"redis+sentinel://user:password@host1,host2/master; special characters in a password are percent-encoded"

// The ports where none is given.
const (
	portRedis    = "6379"
	portSentinel = "26379"
)

// target is a Redis as a redis_url names it. One of the options is set.
type target struct {
	single   *redis.Options
	cluster  *redis.ClusterOptions
	failover *redis.FailoverOptions
}

// parseURL reads a redis_url. Its options are those of go-redis, and for a sentinel's own user sentinel_username and
// sentinel_password. The error shows nothing of an URL that may hold a password.
func parseURL(text string) (target, error) {
	t, err := parseTarget(text)
	switch {
	case err == nil:
		return t, nil
	case text == "":
		return target{}, fmt.Errorf("redis_url is empty, it must be one of: %s", urlForms)
	case strings.Contains(text, "@") || strings.Contains(text, "password"):
		return target{}, fmt.Errorf("redis_url cannot be read, it must be one of: %s", urlForms)
	default:
		return target{}, fmt.Errorf("redis_url cannot be read (%w), it must be one of: %s", err, urlForms)
	}
}

func parseTarget(text string) (target, error) {
	scheme, rest, found := strings.Cut(text, "://")
	base, kind, _ := strings.Cut(scheme, "+")
	var t target
	var err error
	switch {
	case !found:
		err = errors.New("there is no scheme")
	case kind == "":
		t.single, err = redis.ParseURL(text)
	case kind == "cluster":
		t.cluster, err = parseCluster(base, rest)
	case kind == "sentinel":
		t.failover, err = parseSentinel(base, rest)
	default:
		err = fmt.Errorf("the scheme %q is not known", scheme)
	}
	return t, err
}

// seeds is what follows the scheme in an URL of several hosts.
type seeds struct {
	user  *url.Userinfo
	hosts []string
	path  []string
	query url.Values
}

// parseSeeds takes an URL of several hosts apart, which net/url does not.
func parseSeeds(rest, port string) (seeds, error) {
	authority := rest
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		authority, rest = rest[:end], rest[end:]
	} else {
		rest = ""
	}
	login, list := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		login, list = authority[:at+1], authority[at+1:]
	}
	u, err := url.Parse("redis://" + login + "host" + rest)
	if err != nil {
		return seeds{}, err
	}
	s := seeds{user: u.User, query: u.Query()}
	s.path = strings.FieldsFunc(u.Path, func(r rune) bool { return r == '/' })
	for host := range strings.SplitSeq(list, ",") {
		if host == "" {
			return seeds{}, errors.New("a host is missing")
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		s.hosts = append(s.hosts, host)
	}
	return s, nil
}

// url is the form in which go-redis reads several hosts: the others are options.
func (s seeds) url(scheme, path string) string {
	for _, host := range s.hosts[1:] {
		s.query.Add("addr", host)
	}
	u := url.URL{Scheme: scheme, User: s.user, Host: s.hosts[0], Path: path, RawQuery: s.query.Encode()}
	return u.String()
}

func parseCluster(scheme, rest string) (*redis.ClusterOptions, error) {
	s, err := parseSeeds(rest, portRedis)
	if err != nil {
		return nil, err
	}
	if len(s.path) > 0 {
		return nil, errors.New("a cluster has no database number")
	}
	return redis.ParseClusterURL(s.url(scheme, ""))
}

func parseSentinel(scheme, rest string) (*redis.FailoverOptions, error) {
	s, err := parseSeeds(rest, portSentinel)
	if err != nil {
		return nil, err
	}
	if len(s.path) < 1 || len(s.path) > 2 {
		return nil, errors.New("the path must be /master or /master/db")
	}
	// go-redis takes the user before the hosts for that of the sentinels; ours is that of the server.
	if s.user != nil {
		password, _ := s.user.Password()
		s.query.Set("username", s.user.Username())
		s.query.Set("password", password)
	}
	s.user = nil
	if s.query.Has("sentinel_username") || s.query.Has("sentinel_password") {
		s.user = url.UserPassword(s.query.Get("sentinel_username"), s.query.Get("sentinel_password"))
	}
	s.query.Del("sentinel_username")
	s.query.Del("sentinel_password")
	s.query.Set("master_name", s.path[0])
	path := ""
	if len(s.path) == 2 {
		path = "/" + s.path[1]
	}
	return redis.ParseFailoverURL(s.url(scheme, path))
}

// addresses says where Redis is, for errors.
func (t target) addresses() string {
	switch {
	case t.single != nil:
		return t.single.Addr
	case t.cluster != nil:
		return strings.Join(t.cluster.Addrs, ",")
	default:
		return strings.Join(t.failover.SentinelAddrs, ",") + " (sentinels)"
	}
}

// open returns a client, which connects when it is used. What the URL does not say is as the configuration has it.
func (t target) open(config Config) redis.UniversalClient {
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch {
	case t.single != nil:
		o := t.single
		defaults{
			&o.Protocol, &o.MaxRetries, &o.DialerRetries, &o.PoolSize, &o.PipelinePoolSize,
			&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout,
		}.set(config)
		o.ContextTimeoutEnabled, o.DisableIdentity, o.MaintNotificationsConfig = true, true, quiet
		return redis.NewClient(o)
	case t.cluster != nil:
		o := t.cluster
		retries := 0 // a cluster's client retries by itself, as redirects
		defaults{
			&o.Protocol, &retries, &o.DialerRetries, &o.PoolSize, &o.PipelinePoolSize,
			&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout,
		}.set(config)
		o.ContextTimeoutEnabled, o.DisableIdentity, o.MaintNotificationsConfig = true, true, quiet
		o.DisableRoutingPolicies = true // scripts go by their keys
		return redis.NewClusterClient(o)
	default:
		o := t.failover
		defaults{
			&o.Protocol, &o.MaxRetries, &o.DialerRetries, &o.PoolSize, &o.PipelinePoolSize,
			&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout,
		}.set(config)
		o.ContextTimeoutEnabled, o.DisableIdentity = true, true
		return redis.NewFailoverClient(o)
	}
}

// defaults are options that the kinds of clients share, by where they are.
type defaults struct {
	protocol, retries, dials, pool, pipelines *int
	dial, read, write, wait                   *time.Duration
}

// set sets what is not set.
func (d defaults) set(config Config) {
	for option, value := range map[*int]int{
		d.protocol: 2, d.retries: 1, d.dials: 1, d.pool: config.Connections, d.pipelines: -1,
	} {
		if *option == 0 {
			*option = value
		}
	}
	// Each shard that is waited on keeps a connection.
	*d.pool = max(*d.pool, 1) + config.Shards
	for _, option := range []*time.Duration{d.dial, d.read, d.write, d.wait} {
		if *option == 0 {
			*option = config.Timeout
		}
	}
}
