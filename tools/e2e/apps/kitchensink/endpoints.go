package kitchensink

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/step"
)

// endpoint is the handler of a durable endpoint. Its bodies are noted under the key that the request names.
type endpoint func(ctx context.Context, r *http.Request, ran func(body string)) (any, error)

// endpoints are the durable endpoints, by path.
func (a *app) endpoints() map[string]endpoint {
	return map[string]endpoint{
		"/endpoint/steps": func(ctx context.Context, _ *http.Request, ran func(string)) (any, error) {
			return twoSteps(ctx, ran, func() {})
		},
		"/endpoint/sleep": func(ctx context.Context, r *http.Request, ran func(string)) (any, error) {
			milliseconds, err := strconv.Atoi(r.URL.Query().Get("milliseconds"))
			if err != nil {
				return nil, err
			}
			return twoSteps(ctx, ran, func() { step.Sleep(ctx, "nap", time.Duration(milliseconds)*time.Millisecond) })
		},
		"/endpoint/parallel": func(ctx context.Context, _ *http.Request, ran func(string)) (any, error) {
			branch := func(id string, value int) func(context.Context) (any, error) {
				return func(ctx context.Context) (any, error) { return noted(ctx, ran, id, value) }
			}
			results := group.Parallel(ctx, branch("a", 1), branch("b", 2))
			return map[string]any{"a": results[0].Value, "b": results[1].Value}, results.AnyError()
		},
		"/endpoint/flaky": func(ctx context.Context, r *http.Request, ran func(string)) (any, error) {
			value, err := step.Run(ctx, "a", func(context.Context) (int, error) {
				ran("a")
				if len(a.book.of(r.URL.Query().Get("key"))) < 2 {
					return 0, errors.New("flaky")
				}
				return 1, nil
			})
			return map[string]any{"a": value}, err
		},
	}
}

func noted(ctx context.Context, ran func(string), id string, value int) (int, error) {
	return step.Run(ctx, id, func(context.Context) (int, error) {
		ran(id)
		return value, nil
	})
}

// twoSteps runs two steps, with something in between.
func twoSteps(ctx context.Context, ran func(string), between func()) (any, error) {
	first, err := noted(ctx, ran, "a", 1)
	if err != nil {
		return nil, err
	}
	between()
	second, err := noted(ctx, ran, "b", first+1)
	return map[string]any{"a": first, "b": second}, err
}

// handleEndpoints serves the durable endpoints, if the SDK has such.
func (a *app) handleEndpoints(mux *http.ServeMux, middleware func(http.Handler) http.Handler) {
	if middleware == nil {
		return
	}
	for path, body := range a.endpoints() {
		mux.Handle(path, middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			result, err := body(r.Context(), r, func(name string) { a.book.add(r.URL.Query().Get("key"), name, 0) })
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(result)
		})))
	}
}
