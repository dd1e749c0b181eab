package daemon

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof" // its own registration is at a mux that nobody serves
	"strings"

	"github.com/stepwell/stepwell/services/internal/config"
	"github.com/stepwell/stepwell/services/internal/httpserver"
)

// Admin is where operators and their tools look into a program: metrics, profiles, the level of its log.
type Admin struct {
	Address string        `koanf:"address" doc:"where /metrics, /debug/pprof/ and /log-level are served, such as :9090; empty for nowhere"`
	Token   config.Secret `koanf:"token" doc:"what operators and Prometheus show there, as a bearer token; needed with admin.address"`
}

// tokenBytesMin keeps tokens from being guessed.
const tokenBytesMin = 16

// Validate returns every problem at once.
func (a Admin) Validate() error {
	var problems []error
	if a.Address != "" {
		if _, port, err := net.SplitHostPort(a.Address); err != nil || port == "" {
			problems = append(problems, fmt.Errorf("address is %q, it must be like :9090", a.Address))
		}
	}
	token := a.Token.Reveal()
	switch {
	case a.Address != "" && token == "":
		problems = append(problems, errors.New("token is empty, and admin.address is open to nobody without one; "+
			"make one with: openssl rand -hex 32"))
	case token != "" && len(token) < tokenBytesMin:
		problems = append(problems, fmt.Errorf("token has %d characters, it must have at least %d; "+
			"make one with: openssl rand -hex 32", len(token), tokenBytesMin))
	}
	return errors.Join(problems...)
}

// addAdminListener serves what is for operators, if there is an address for it.
func (p Program) addAdminListener(ctx context.Context, made *Process, metrics http.Handler) error {
	admin := p.Common.Admin
	if admin.Address == "" {
		return nil
	}
	listener, err := made.Listen(ctx, "admin.address", admin.Address)
	if err != nil {
		return err
	}
	made.Add("admin over HTTP", httpserver.New(listener, made.adminHandler(admin.Token, metrics)).Run)
	return nil
}

// adminHandler serves metrics, profiles and the level of the log to those who have the token, and to nobody else not even
// which routes there are.
func (p *Process) adminHandler(token config.Secret, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	// Not /debug/pprof/cmdline: a command line may hold secrets.
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", http.NotFound)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /log-level", p.getLogLevel)
	mux.HandleFunc("PUT /log-level", p.putLogLevel)
	// Hashes are of the same length, so comparing them tells nothing of the token.
	want := sha256.Sum256([]byte(token.Reveal()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(bearer(r)))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			respond(w, http.StatusUnauthorized, problem{"the token is missing or wrong (admin.token): Authorization: Bearer …"})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, adminBodyMax)
		mux.ServeHTTP(w, r)
	})
}

// adminBodyMax bounds the body of a request; those of pprof's symbols are the longest.
const adminBodyMax = 64 << 10

// bearer is the request's token; empty if it has none.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// problem is why a request was refused.
type problem struct {
	Error string `json:"error"`
}

// logLevel is the body of /log-level.
type logLevel struct {
	// Level is DEBUG, INFO, WARN or ERROR.
	Level slog.Level `json:"level"`
}

func (p *Process) getLogLevel(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, logLevel{p.level.Level()})
}

// putLogLevel changes what is logged from now on, until the program ends.
func (p *Process) putLogLevel(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Level *slog.Level `json:"level"`
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &wanted)
	}
	if err != nil || wanted.Level == nil {
		respond(w, http.StatusBadRequest, problem{`the body must be like {"level": "debug"}: debug, info, warn or error`})
		return
	}
	before := p.level.Level()
	p.level.Set(*wanted.Level)
	p.Log.WarnContext(r.Context(), "log level changed",
		slog.String("from", before.String()), slog.String("to", wanted.Level.String()))
	respond(w, http.StatusOK, logLevel{*wanted.Level})
}
