// Package discovery finds the apps that a developer runs: at given URLs, and at the ports and paths where they usually
// are. It asks again and again, so that an app that starts later, or comes back changed, is found.
//
// It must not know what a sync is: it calls what it was given.
package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/stepwell/stepwell/services/internal/sdk"
)

// Config is what users set.
type Config struct {
	// URLs are serve endpoints that are asked at every round.
	URLs []string `koanf:"urls" doc:"serve endpoints of apps, which are asked from time to time what they serve"`
	// Scan looks for apps at the usual local ports and paths, too.
	Scan bool `koanf:"-"`
	// Interval is the time between rounds.
	Interval time.Duration `koanf:"poll_interval" doc:"how often the apps of apps.urls are asked"`
}

// DefaultConfig returns the defaults: no app is looked for.
func DefaultConfig() Config { return Config{Interval: 5 * time.Second} }

// Validate returns every problem at once.
func (c Config) Validate() error {
	var problems []error
	if c.Interval < intervalMin {
		problems = append(problems, fmt.Errorf("poll_interval is %s, it must be at least %s", c.Interval, intervalMin))
	}
	for _, text := range c.URLs {
		u, err := url.Parse(text)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			problems = append(problems, fmt.Errorf("urls: %q is not a URL such as http://localhost:3000/api/inngest", text))
		}
	}
	return errors.Join(problems...)
}

// intervalMin bounds how often apps are asked.
const intervalMin = 100 * time.Millisecond

// Deps are what discovery works with.
type Deps struct {
	// Sync asks the app at a URL what it serves.
	Sync func(ctx context.Context, url string) error
	// Transport carries the requests of a scan.
	Transport http.RoundTripper
	// Dial tells a scan whether something listens at an address.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	Log  *slog.Logger
}

// Discovery finds apps.
type Discovery struct {
	config Config
	deps   Deps
	// answers are whether each URL answered at the last round, so that only changes are told.
	answers map[string]string
	// skip is for how many rounds a port is left alone, because something else than an app listens there.
	skip map[string]int
	// silent is how often in a row a port took a connection and said nothing in time.
	silent map[string]int
}

// New returns a discovery that starts nothing.
func New(config Config, deps Deps) *Discovery {
	return &Discovery{config: config, deps: deps, answers: map[string]string{}, skip: map[string]int{}, silent: map[string]int{}}
}

const (
	// syncTimeout bounds one question to one app.
	syncTimeout = 10 * time.Second
	// dialTimeout and probeTimeout bound looking at one local port.
	dialTimeout  = 200 * time.Millisecond
	probeTimeout = time.Second
	// skipRounds is how long a port with something else is left alone.
	skipRounds = 12
	// silentMax is how often a port may say nothing before it is left alone, too: an app that has just started, or that is
	// compiled when it is first asked, says nothing at first.
	silentMax = 3
)

// Run asks in rounds until the context ends.
func (d *Discovery) Run(ctx context.Context) error {
	ticker := time.NewTicker(d.config.Interval)
	defer ticker.Stop()
	found := map[string]bool{}
	for {
		for _, url := range d.config.URLs {
			d.sync(ctx, url)
		}
		for url := range found {
			d.sync(ctx, url)
		}
		if d.config.Scan {
			d.scan(ctx, found)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// sync asks one app and tells what changed since the last time.
func (d *Discovery) sync(ctx context.Context, url string) {
	bounded, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	answer := "ok"
	if err := d.deps.Sync(bounded, url); err != nil {
		answer = err.Error()
	}
	before, asked := d.answers[url]
	d.answers[url] = answer
	switch {
	case ctx.Err() != nil || answer == before:
	case answer != "ok":
		d.deps.Log.WarnContext(ctx, "no app here yet, trying again", slog.String("url", url),
			slog.String("reason", answer), slog.Duration("every", d.config.Interval))
	case asked:
		d.deps.Log.InfoContext(ctx, "app answers again", slog.String("url", url))
	}
}

// ports are where apps usually listen during development.
func ports() []int {
	list := []int{80, 443, 4321, 5000, 5173, 8000, 8080, 8081, 8787, 8888}
	for port := 3000; port <= 3010; port++ {
		list = append(list, port)
	}
	for port := 8910; port <= 8915; port++ {
		list = append(list, port)
	}
	return list
}

// paths are where frameworks serve apps.
func paths() []string {
	return []string{"/api/inngest", "/x/inngest", "/.netlify/functions/inngest", "/.redwood/functions/inngest"}
}

// scan looks at the usual places and syncs what it finds.
func (d *Discovery) scan(ctx context.Context, found map[string]bool) {
	for _, port := range ports() {
		host := net.JoinHostPort("localhost", strconv.Itoa(port))
		if d.skip[host] > 0 {
			d.skip[host]--
			continue
		}
		if !d.listens(ctx, host) {
			continue
		}
		url, inTime := d.probe(ctx, host)
		switch {
		case !inTime && d.silent[host] < silentMax:
			d.silent[host]++
		case url == "":
			d.skip[host], d.silent[host] = skipRounds, 0
		case !found[url] && !d.given(url):
			found[url] = true
			d.deps.Log.InfoContext(ctx, "app found", slog.String("url", url))
			d.sync(ctx, url)
		}
	}
}

func (d *Discovery) given(url string) bool {
	return slices.Contains(d.config.URLs, url)
}

func (d *Discovery) listens(ctx context.Context, host string) bool {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := d.deps.Dial(ctx, "tcp", host)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// probe returns the URL under the host where an SDK answers, empty if there is none, and whether all answers came in time.
func (d *Discovery) probe(ctx context.Context, host string) (found string, inTime bool) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	for _, path := range paths() {
		url := "http://" + host + path
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return "", true
		}
		response, err := d.deps.Transport.RoundTrip(request)
		if err != nil {
			return "", ctx.Err() == nil // if it came in time it is no HTTP
		}
		isSDK := response.Header.Get(sdk.HeaderSDK) != ""
		if response.Body.Close() == nil && isSDK {
			return url, true
		}
	}
	return "", true
}
