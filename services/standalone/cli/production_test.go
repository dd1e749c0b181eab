package cli_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/redistest"
	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/standalone/cli"
)

const (
	eventKey   = "4f2f7b0f6f5a1c3e"
	adminToken = "8a0c0f4be8d0c5a1"
	signingKey = "signkey-prod-00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	// patience is how long a test waits for what must happen.
	patience = time.Minute
)

// production is a server as `stepwell start` makes it.
type production struct {
	*testing.T
	origin string
	port   string
	// admin is where operators look into it.
	admin  string
	log    *output
	cancel context.CancelFunc
	ended  chan error
}

// startProduction starts a server with these settings on an empty database and a queue of its own, if they do not say
// otherwise, and returns when it listens. It must end well when the test does.
func startProduction(t *testing.T, settings map[string]string) *production {
	t.Helper()
	environment := []string{
		"STEPWELL_EVENT_KEY=" + eventKey, "STEPWELL_SIGNING_KEY=" + signingKey, "STEPWELL_ADMIN_TOKEN=" + adminToken,
	}
	if settings["DATABASE_URL"] == "" {
		environment = append(environment, "DATABASE_URL="+postgres.Database(t))
	}
	if settings["REDIS_URL"] == "" {
		environment = append(environment, "REDIS_URL="+redis.URL, "STEPWELL_REDIS_PREFIX="+redis.Prefix(t))
	}
	for name, value := range settings {
		environment = append(environment, name+"="+value)
	}
	for range 20 { // somebody else may be faster at the port
		port, admin := free(t), "127.0.0.1:"+free(t)
		p := &production{
			T: t, origin: "http://127.0.0.1:" + port, port: port, admin: "http://" + admin, ended: make(chan error, 1),
			log: &output{wrote: make(chan struct{}, 1)},
		}
		root := cli.New("v1.2.3", environment)
		root.SetArgs([]string{"start", "--host=127.0.0.1", "--port=" + port, "--grpc-port=0", "--admin-address=" + admin})
		root.SetErr(p.log)
		var ctx context.Context
		ctx, p.cancel = context.WithCancel(t.Context())
		go func() { p.ended <- root.ExecuteContext(ctx) }() // awaited below
		if p.listens() {
			t.Cleanup(p.stop)
			return p
		}
		p.cancel()
	}
	t.Fatal("no port is free")
	return nil
}

// listens waits until the server listens, and tells if somebody else has the port.
func (p *production) listens() bool {
	p.Helper()
	for !strings.Contains(p.log.String(), "msg=starting") { // then it listens everywhere
		select {
		case <-p.log.wrote:
		case err := <-p.ended:
			require.ErrorContains(p, err, "address already in use")
			return false
		}
	}
	return true
}

func (p *production) stop() {
	p.cancel()
	if err := <-p.ended; err != nil {
		p.Errorf("the server ended with: %v\n%s", err, p.log)
	}
}

// says waits until the log has a line with all of these in it.
func (p *production) says(texts ...string) {
	p.Helper()
	require.Eventually(p, func() bool {
		for line := range strings.Lines(p.log.String()) {
			found := 0
			for _, text := range texts {
				if strings.Contains(line, text) {
					found++
				}
			}
			if found == len(texts) {
				return true
			}
		}
		return false
	}, patience, 10*time.Millisecond, "%v is not in the log", texts)
}

// ask sends a request with a signing key, or none, and returns the answer.
func (p *production) ask(method, path, key, body string) (int, http.Header, string) {
	p.Helper()
	request, err := http.NewRequestWithContext(p.Context(), method, p.origin+path, strings.NewReader(body))
	require.NoError(p, err)
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(p, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(p, err)
	return response.StatusCode, response.Header, string(answer)
}

// readiness waits until /readyz says this.
func (p *production) readiness(status int, body string) {
	p.Helper()
	var code int
	var said string
	require.Eventually(p, func() bool {
		code, _, said = p.ask(http.MethodGet, "/readyz", "", "")
		return code == status && strings.TrimSpace(said) == body
	}, patience, 20*time.Millisecond, "/readyz does not answer %d %s\n%s", status, body, p.log)
}

const readyBody = `{"status":"ready","dependencies":{"postgres":true,"redis":true}}`

// publishes sends an event, which must be taken, and returns its id.
func (p *production) publishes(name string) string {
	p.Helper()
	status, _, body := p.ask(http.MethodPost, "/e/"+eventKey, "", `{"name":"`+name+`","data":{}}`)
	require.Equal(p, http.StatusOK, status, body)
	var answer struct {
		IDs []string `json:"ids"`
	}
	require.NoError(p, json.Unmarshal([]byte(body), &answer))
	require.Len(p, answer.IDs, 1)
	return answer.IDs[0]
}

// refuses sends an event with a publisher's id, which must be answered with 503 and when to come again.
func (p *production) refuses(name, id string) {
	p.Helper()
	status, header, body := p.ask(http.MethodPost, "/e/"+eventKey, "", `{"id":"`+id+`","name":"`+name+`","data":{}}`)
	require.Equal(p, http.StatusServiceUnavailable, status, body)
	require.Equal(p, "1", header.Get("Retry-After"))
	require.JSONEq(p, `{"ids":[],"status":503,"error":"temporarily unavailable, try again"}`, body)
}

// runs waits until the event's runs have ended well, and returns how many there are.
func (p *production) runs(event string) int {
	p.Helper()
	var answer struct {
		Data []struct {
			Status string `json:"status"`
		} `json:"data"`
	}
	require.Eventually(p, func() bool {
		status, _, body := p.ask(http.MethodGet, "/v1/events/"+event+"/runs", signingKey, "")
		if status != http.StatusOK || json.Unmarshal([]byte(body), &answer) != nil {
			return false
		}
		for _, run := range answer.Data {
			if run.Status != "Completed" {
				return false
			}
		}
		return len(answer.Data) > 0
	}, patience, 50*time.Millisecond, "the runs do not end\n%s", p.log)
	return len(answer.Data)
}

// startApp serves one function, which starts with shop/order and ends at its first call, and says whether calls are signed.
func startApp(t *testing.T) *httptest.Server {
	t.Helper()
	var app *httptest.Server
	app = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(sdk.HeaderSDK, "test:v1")
		w.Header().Set(sdk.HeaderRequestVersion, "2")
		if r.Header.Get(sdk.HeaderSignature) == "" && r.Method != http.MethodGet {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.Method != http.MethodPut {
			_, _ = io.WriteString(w, `"done"`)
			return
		}
		w.Header().Set(sdk.HeaderSyncKind, sdk.SyncInBand)
		url := app.URL + "/api/inngest"
		_ = json.NewEncoder(w).Encode(map[string]any{"app_id": "shop", "sdk": "test:v1", "url": url, "functions": []any{
			map[string]any{
				"id": "order", "name": "order", "triggers": []any{map[string]any{"event": "shop/order"}},
				"steps": map[string]any{"step": map[string]any{"id": "step", "name": "step", "runtime": map[string]string{
					"type": "http", "url": url + "?fnId=order&stepId=step",
				}}},
			},
		}})
	}))
	t.Cleanup(app.Close)
	return app
}

// gate is an address behind which there is a server, or nobody.
type gate struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	open  bool
	conns []net.Conn
}

// newGate returns a gate that is shut.
func newGate(t *testing.T, server *redistest.Server) *gate {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := &gate{listener: listener, target: strings.TrimPrefix(server.URL, "redis://")}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { g.pass(conn) })
		}
	})
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		g.set(false)
		all.Wait()
	})
	return g
}

func (g *gate) url() string { return "redis://" + g.listener.Addr().String() }

// set opens the gate, or shuts it: then all connections through it break.
func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = open
	if !open {
		for _, conn := range g.conns {
			_ = conn.Close()
		}
		g.conns = nil
	}
}

func (g *gate) pass(conn net.Conn) {
	defer conn.Close()
	g.mu.Lock()
	if !g.open {
		g.mu.Unlock()
		return
	}
	behind, err := net.Dial("tcp", g.target)
	if err != nil {
		g.mu.Unlock()
		return
	}
	g.conns = append(g.conns, conn, behind)
	g.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(behind, conn); _ = behind.Close() })
	both.Go(func() { _, _ = io.Copy(conn, behind); _ = conn.Close() })
	both.Wait()
}
