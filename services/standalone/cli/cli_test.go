package cli_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stepwell/stepwell/services/internal/pgtest"
	"github.com/stepwell/stepwell/services/internal/redistest"
	"github.com/stepwell/stepwell/services/standalone/cli"
)

// The real servers of the tests of this binary.
var (
	postgres *pgtest.Server
	redis    *redistest.Redis
)

// binary is the tests of this package with them.
type binary struct{ m *testing.M }

func (b binary) Run() int {
	return pgtest.Run(withRedis(b), func(s *pgtest.Server) { postgres = s })
}

type withRedis binary

func (b withRedis) Run() int {
	return redistest.Run(b.m, func(r *redistest.Redis) { redis = r })
}

func TestMain(m *testing.M) {
	// A client that was closed while its server was down tries to connect for up to a second more.
	dials := goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")
	goleak.VerifyTestMain(binary{m}, dials)
}

// server answers what a test says, and keeps what it was asked.
type server struct {
	*httptest.Server
	// answers are, for each method and path, the answers in their order; the last one stays.
	answers map[string][]string

	mu       sync.Mutex
	requests []string
	bodies   []string
}

const fine = "200 "

func newServer(t *testing.T, answers map[string][]string) *server {
	t.Helper()
	s := &server{answers: answers}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.requests, s.bodies = append(s.requests, r.Method+" "+r.URL.String()), append(s.bodies, string(body))
	list := s.answers[r.Method+" "+r.URL.Path]
	if len(list) == 0 {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"error":"there is nothing at `+r.Method+" "+r.URL.Path+`","status":404}`)
		return
	}
	if len(list) > 1 {
		s.answers[r.Method+" "+r.URL.Path] = list[1:]
	}
	status, answer, _ := strings.Cut(list[0], " ")
	switch status {
	case "200":
	case "404":
		w.WriteHeader(http.StatusNotFound)
	case "400":
		w.WriteHeader(http.StatusBadRequest)
	default:
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = io.WriteString(w, answer)
}

// stepwell runs a command line in an environment without variables.
func stepwell(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return stepwellIn(t, nil, args...)
}

func stepwellIn(t *testing.T, environment map[string]string, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	var environ []string
	for name, value := range environment {
		environ = append(environ, name+"="+value)
	}
	root := cli.New("v1.2.3", environ)
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(io.Discard)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

// prints runs a command line against a server, which must go well.
func prints(t *testing.T, s *server, args ...string) string {
	t.Helper()
	out, err := stepwell(t, append(args, "--server", s.URL)...)
	require.NoError(t, err)
	return out
}

func TestVersion(t *testing.T) {
	t.Parallel()
	out, err := stepwell(t, "version")
	require.NoError(t, err)
	require.Equal(t, "v1.2.3\n", out)
	out, err = stepwell(t, "version", "--json")
	require.NoError(t, err)
	require.Equal(t, []string{"{", `  "version": "v1.2.3"`, "}", ""}, strings.Split(out, "\n"))
}

func TestEveryCommandHasAnExample(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "dev", "start", "config", "migrate", "probe", "doctor", "send", "runs", "runs show", "functions", "functions list", "functions pause", "functions resume", "functions drain", "version"} {
		out, err := stepwell(t, append(strings.Fields(name), "--help")...)
		require.NoError(t, err)
		require.Contains(t, out, "Examples:\n  stepwell "+name, name)
	}
}

func TestCommandLinesThatAreWrong(t *testing.T) {
	t.Parallel()
	for line, problem := range map[string]string{
		"sned":            `unknown command "sned" for "stepwell"`,
		"send":            "accepts 1 arg(s), received 0",
		"send a b":        "accepts 1 arg(s), received 2",
		"runs show a b":   "accepts at most 1 arg(s), received 2",
		"runs --limit x":  "invalid argument",
		"functions x":     `unknown command "x"`,
		"functions pause": "accepts 1 arg(s), received 0",
		"version x":       `unknown command "x"`,
		"dev x":           `unknown command "x"`,
	} {
		_, err := stepwell(t, strings.Fields(line)...)
		require.ErrorContains(t, err, problem, line)
	}
}

func TestServerIsFoundByFlagOrEnvironment(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string][]string{"GET /api/v1/functions": {fine + `{"data":[]}`}})
	environment := map[string]string{"STEPWELL_SERVER": s.URL + "/"}
	_, err := stepwellIn(t, environment, "functions")
	require.NoError(t, err)
	require.Equal(t, []string{"GET /api/v1/functions"}, s.requests)

	other := newServer(t, map[string][]string{"GET /api/v1/functions": {fine + `{"data":[]}`}})
	_, err = stepwellIn(t, environment, "functions", "--server", other.URL)
	require.NoError(t, err)
	require.Len(t, other.requests, 1, "the flag goes before the environment")
	require.Len(t, s.requests, 1)
}

// TestErrorsSayWhatToDo: in the server's own words if it has any.
func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	const path = "GET /api/v1/functions"
	for answer, problem := range map[string]string{
		fine + `<html>`:     "does not answer like a Stepwell server: invalid character '<'",
		fine:                "does not answer like a Stepwell server",
		fine + `{"data":7}`: "read answer to /api/v1/functions: json: cannot unmarshal number",
		fine + `{}`:         "read answer to /api/v1/functions: unexpected end of JSON input",
		`400 {"error":"limit is \"0\"","status":400}`:  `limit is "0"`,
		`404 {"error":"run R: not found","data":null}`: "run R: not found",
		`503 <html>`:       "the server answered 503 Service Unavailable",
		`503 {"error":""}`: "the server answered 503 Service Unavailable",
	} {
		s := newServer(t, map[string][]string{path: {answer}})
		_, err := stepwell(t, "functions", "--server", s.URL)
		require.ErrorContains(t, err, problem)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	_, err := stepwell(t, "functions", "--server", gone.URL)
	require.EqualError(t, err, "no server at "+gone.URL+". Start one with `stepwell dev`, or say where it is with --server")
	_, err = stepwell(t, "functions", "--server", "http://[::1")
	require.ErrorContains(t, err, `"http://[::1" is not a server's URL`)
	_, err = stepwell(t, "functions", "--server", "localhost:8288")
	require.ErrorContains(t, err, "ask the server")
}
