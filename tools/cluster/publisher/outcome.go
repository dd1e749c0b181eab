package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// eventOutput is what each run yields.
	eventOutput = `{"a":1,"b":2,"c":3}`
	// lookersMax is how many events are looked for at a time, endsWithin how long runs are waited for unless it is said.
	lookersMax  = 8
	endsWithin  = "2m"
	lookEvery   = time.Second
	lookTimeout = 10 * time.Second
)

// outcome is what became of the acked events.
type outcome struct {
	Acked int `json:"acked"`
	// Completed are events with one run, which completed with the right output.
	Completed int `json:"completed"`
	// Lost have no run, Doubled several; Wrong are runs that failed or yielded something else.
	Lost    int `json:"lost"`
	Doubled int `json:"doubled"`
	Wrong   int `json:"wrong"`
	// NotEnded are runs that did not end in time, Unknown events of which the API did not say anything in time.
	NotEnded int    `json:"not_ended"`
	Unknown  int    `json:"unknown"`
	Example  string `json:"example,omitempty"`
}

// api is the API of the server.
type api struct{ url, key string }

type foundRun struct {
	ID     string          `json:"run_id"`
	Status string          `json:"status"`
	Output json.RawMessage `json:"output"`
}

// outcome looks for the runs of all events, and waits for those that have not ended, until ctx ends.
func (a api) outcome(ctx context.Context, events []string) outcome {
	queue := make(chan string)
	result := outcome{Acked: len(events)}
	var mu sync.Mutex
	var lookers sync.WaitGroup
	for range lookersMax {
		lookers.Go(func() {
			for event := range queue {
				verdict := a.await(ctx, event)
				mu.Lock()
				count := verdict(&result)
				*count++
				if count != &result.Completed && result.Example == "" {
					result.Example = event
				}
				mu.Unlock()
			}
		})
	}
	for _, event := range events {
		queue <- event
	}
	close(queue)
	lookers.Wait()
	return result
}

// await says which count an event belongs to.
func (a api) await(ctx context.Context, event string) func(*outcome) *int {
	for {
		runs, err := a.runs(ctx, event)
		unsettled := func(o *outcome) *int { return &o.NotEnded }
		switch {
		case err != nil:
			unsettled = func(o *outcome) *int { return &o.Unknown }
		case len(runs) == 0:
			unsettled = func(o *outcome) *int { return &o.Lost }
		case len(runs) > 1:
			return func(o *outcome) *int { return &o.Doubled }
		case runs[0].Status == "Completed" && string(runs[0].Output) == eventOutput:
			return func(o *outcome) *int { return &o.Completed }
		case runs[0].Status != "Running":
			return func(o *outcome) *int { return &o.Wrong }
		}
		select {
		case <-ctx.Done():
			return unsettled
		case <-time.After(lookEvery):
		}
	}
}

func (a api) runs(ctx context.Context, event string) ([]foundRun, error) {
	// Not the end of the wait: what is asked last is to be answered.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+"/v1/events/"+event+"/runs", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+a.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s", response.Status)
	}
	var answer struct {
		Data []foundRun `json:"data"`
	}
	return answer.Data, json.NewDecoder(response.Body).Decode(&answer)
}
