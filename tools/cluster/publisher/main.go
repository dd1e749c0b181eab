// Command publisher runs as a pod of the cluster test: it publishes events over gRPC at a steady rate while the cluster is
// shaken, and finds out what became of them.
//
//	publisher serve             does so when it is asked
//	publisher ask METHOD PATH   asks it, from within its pod
//
// It must not know anything that a publisher in a customer's cluster would not: the public gRPC door, the API, two keys.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// address is where the publisher is asked: only from within its pod.
const address = "127.0.0.1:7000"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "publisher:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "serve":
		return serve(ctx)
	case len(args) == 3 && args[0] == "ask":
		return ask(ctx, args[1], args[2], os.Stdout)
	}
	return errors.New("use: publisher serve, or publisher ask METHOD PATH, such as ask POST /start?rate=20")
}

func serve(ctx context.Context) error {
	p, err := newPublisher(os.Getenv("GRPC_ADDRESS"), os.Getenv("EVENT_KEY"))
	if err != nil {
		return err
	}
	defer p.conn.Close() //nolint:errcheck // the process ends
	api := api{url: os.Getenv("API_URL"), key: os.Getenv("SIGNING_KEY")}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /start", func(w http.ResponseWriter, r *http.Request) {
		rate, err := readRate(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		event := quickEvent
		if r.URL.Query().Has("slow") {
			event = slowEvent
		}
		p.start(ctx, event, rate)
		respond(w, p.stats())
	})
	routes.HandleFunc("POST /rate", func(w http.ResponseWriter, r *http.Request) {
		rate, err := readRate(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		p.change(rate)
		respond(w, p.stats())
	})
	routes.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		p.stop()
		respond(w, p.stats())
	})
	routes.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { respond(w, p.stats()) })
	routes.HandleFunc("GET /outcome", func(w http.ResponseWriter, r *http.Request) {
		within, err := time.ParseDuration(cmp.Or(r.URL.Query().Get("within"), endsWithin))
		if err != nil {
			http.Error(w, "within must be a duration such as 30s", http.StatusBadRequest)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), within)
		defer cancel()
		respond(w, api.outcome(ctx, p.ackedEvents()))
	})
	server := &http.Server{Addr: address, Handler: routes, ReadHeaderTimeout: 5 * time.Second}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopped()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

func readRate(r *http.Request) (int, error) {
	rate, err := strconv.Atoi(r.URL.Query().Get("rate"))
	if err != nil || rate < 1 || rate > rateMax {
		return 0, fmt.Errorf("rate must be 1 to %d events per second", rateMax)
	}
	return rate, nil
}

func respond(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // who asked and has gone needs no answer
}

// ask asks the publisher of this pod.
func ask(ctx context.Context, method, path string, out io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, nil) // #nosec G704 -- of its own pod
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request) // #nosec G704 -- as above
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	if err == nil {
		_, err = out.Write(text)
	}
	return err
}
