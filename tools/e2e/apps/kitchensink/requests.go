package kitchensink

import (
	"context"
	"net/http"

	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/step"
)

// apiKey is what the provider of the test wants to see.
const apiKey = "sk-kitchen-sink"

// requests are functions whose requests the server makes.
func (a *app) requests() {
	a.define("fetch", retriesDefault, fetch)
	a.define("fetch-caught", 1, fetchCaught)
	a.define("fetch-many", retriesDefault, fetchMany)
	a.define("infer", retriesDefault, infer)
}

// url is a member of the event's data.
func (c call) url() string { return c.text("url") }

func fetch(ctx context.Context, c call) (any, error) {
	response, err := step.Fetch[string](ctx, "salt", step.FetchOpts{
		URL: c.url() + "/salt", Method: http.MethodPost, Headers: map[string]string{"X-Kitchen": "sink"}, Body: "a pinch",
	})
	return data{"status": response.StatusCode, "taste": response.Headers["X-Taste"], "body": response.Body}, err
}

func fetchCaught(ctx context.Context, c call) (any, error) {
	_, err := step.Fetch[string](ctx, "salt", step.FetchOpts{URL: c.url(), Method: http.MethodGet})
	if err == nil {
		return nil, nil
	}
	return step.Run(ctx, "apologise", func(context.Context) (any, error) {
		c.ran("apologise")
		return data{"sorry": err.Error()}, nil
	})
}

func fetchMany(ctx context.Context, c call) (any, error) {
	fetched := func(path string) branch {
		return func(ctx context.Context) (any, error) {
			response, err := step.Fetch[string](ctx, path, step.FetchOpts{URL: c.url() + "/" + path, Method: http.MethodGet})
			return response.Body, err
		}
	}
	own := func(ctx context.Context) (any, error) {
		return step.Run(ctx, "own", func(context.Context) (string, error) {
			c.ran("own")
			return "own", nil
		})
	}
	results := group.Parallel(ctx, fetched("a"), fetched("b"), own, fetched("c"))
	var parts []any
	for _, result := range results {
		parts = append(parts, result.Value)
	}
	return data{"parts": parts}, results.AnyError()
}

func infer(ctx context.Context, c call) (any, error) {
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	type question struct {
		Model    string    `json:"model"`
		Messages []message `json:"messages"`
	}
	type answer struct {
		Choices []struct {
			Message message `json:"message"`
		} `json:"choices"`
	}
	key, base := apiKey, c.url()
	said, err := step.Infer[question, answer](ctx, "ask", step.InferOpts[question]{
		Opts: step.InferOpenAIOpts(&key, &base),
		Body: question{Model: "chef", Messages: []message{{Role: "user", Content: "more salt?"}}},
	})
	if err != nil {
		return nil, err
	}
	return data{"said": said.Choices[0].Message.Content}, nil
}
