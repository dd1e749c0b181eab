// Command example is an app as a customer would write it, with the unmodified Go SDK: a shop that handles orders.
package main

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/inngest/inngestgo"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func run() error {
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
	port := os.Getenv("PORT")
	if port == "" {
		port = "3000"
	}
	mux := http.NewServeMux()
	mux.Handle("/api/inngest", client.Serve())
	server := &http.Server{Addr: "localhost:" + port, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintf(os.Stdout, "shop serves http://%s/api/inngest\n", server.Addr)
	return server.ListenAndServe()
}
