// Command example is an app as a customer would write it, with the unmodified Go SDK: a shop that handles orders.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/inngest/inngestgo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{AppID: "shop"})
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	if _, err := inngestgo.CreateFunction(
		client,
		inngestgo.FunctionOpts{ID: "handle-order", Name: "Handle an order", Retries: new(4)},
		inngestgo.EventTrigger("shop/order.placed", nil),
		handleOrder,
	); err != nil {
		return fmt.Errorf("create function: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle(endpoint, client.Serve())
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	return serve(ctx, mux)
}

// endpoint is the path at which Stepwell calls the app.
const endpoint = "/api/inngest"

// stopTimeout bounds how long steps under way are waited for. One that is cut off is called again, elsewhere.
const stopTimeout = 10 * time.Second

// serve serves until the context ends, at HOST (localhost; empty for all addresses) and PORT (3000).
func serve(ctx context.Context, handler http.Handler) error {
	host, port := setting("HOST", "localhost"), setting("PORT", "3000")
	server := &http.Server{Addr: net.JoinHostPort(host, port), Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", server.Addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "shop serves http://%s%s\n", server.Addr, endpoint)
	if origin := os.Getenv("INNGEST_SERVE_HOST"); origin != "" {
		go register(ctx, "http://localhost:"+port+endpoint) // ends with ctx, as the program does
	}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		stopped <- server.Shutdown(bounded)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// setting is the value of an environment variable, which may be empty.
func setting(name, otherwise string) string {
	if value, found := os.LookupEnv(name); found {
		return value
	}
	return otherwise
}
