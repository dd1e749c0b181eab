// Package kitchensink is the Go app under test, but for what differs between versions of the SDK: its functions, and
// routes by which the tests ask and steer it.
package kitchensink

import (
	"encoding/json"
	"log"
	"net/http"
	"os"

	"github.com/inngest/inngestgo"
)

const appID = "kitchen-sink"

// SDK is what differs between versions of the SDK.
type SDK struct {
	// Options are the client's, but for the app's name.
	Options inngestgo.ClientOpts
	// Race runs branches of which each goes on as soon as the version lets it.
	Race Group
	// Endpoint makes a durable endpoint of a handler; nil if the version cannot.
	Endpoint func(http.Handler) http.Handler
}

// Serve serves the app at $PORT until it fails.
func Serve(sdk SDK) error {
	sdk.Options.AppID = appID
	client, err := inngestgo.NewClient(sdk.Options)
	if err != nil {
		return err
	}
	a := &app{client: client, race: sdk.Race, without: os.Getenv("WITHOUT"), book: newBook(), gates: newGates()}
	a.sequences()
	a.errors()
	a.times()
	a.parallels()
	a.triggers()
	a.requests()
	a.waits()
	a.limits()
	a.signals()
	a.invocations()
	a.endings()
	if a.err != nil {
		return a.err
	}

	mux := http.NewServeMux()
	mux.Handle("/api/inngest", client.Serve())
	mux.HandleFunc("GET /counts", func(w http.ResponseWriter, r *http.Request) {
		answer(w, map[string]any{"executions": a.book.of(r.URL.Query().Get("run"))}, nil)
	})
	mux.HandleFunc("POST /open", func(w http.ResponseWriter, r *http.Request) {
		a.gates.open(r.URL.Query().Get("gate"))
		answer(w, map[string]any{}, nil)
	})
	mux.HandleFunc("POST /send", a.send)
	a.handleEndpoints(mux, sdk.Endpoint)
	return http.ListenAndServe("localhost:"+os.Getenv("PORT"), mux)
}

// send sends events with the SDK's client.
func (a *app) send(w http.ResponseWriter, r *http.Request) {
	var events []inngestgo.GenericEvent[data]
	if err := json.NewDecoder(r.Body).Decode(&events); err != nil {
		answer(w, nil, err)
		return
	}
	list := make([]any, len(events))
	for i, event := range events {
		list[i] = event
	}
	ids, err := a.client.SendMany(r.Context(), list)
	answer(w, map[string]any{"ids": ids}, err)
}

func answer(w http.ResponseWriter, value any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		log.Print(err)
	}
}
