package app

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Event is an event to publish.
type Event struct {
	Name string `json:"name"`
	Data any    `json:"data"`
	TS   int64  `json:"ts"`
}

// Nothing is an event that starts no function.
func Nothing(n int) Event {
	return Event{Name: "load/nothing", Data: map[string]int{"n": n}, TS: time.Now().UnixMilli()}
}

const (
	// triesMax bounds how often the same thing is sent to a server that is busy, as in the SDKs.
	triesMax = 5
	// firstPause is the pause before the second try; each one is twice the last.
	firstPause = 100 * time.Millisecond
)

// Publish publishes events in one request, and again if the server is busy or does not answer in time.
func (a *App) Publish(ctx context.Context, events []Event) error {
	// With a seed the server gives the events of a second try the ids of the first.
	var seed [10]byte
	binary.BigEndian.PutUint64(seed[:], uint64(a.seeds.Add(1)))
	header := map[string]string{"X-Inngest-Event-Id-Seed": fmt.Sprintf("%d,%s",
		time.Now().UnixMilli(), base64.StdEncoding.EncodeToString(seed[:]))}
	return a.retry(ctx, func() (bool, error) {
		err := a.send(ctx, http.MethodPost, "/e/"+a.config.EventKey, events, header)
		var refused *refusal
		return errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &refused) && refused.isBusy()), err
	})
}

// retry tries again while it fails and may succeed later.
func (a *App) retry(ctx context.Context, try func() (mayRetry bool, err error)) error {
	pause := firstPause
	for tries := 1; ; tries++ {
		mayRetry, err := try()
		if err == nil || !mayRetry || tries == triesMax {
			return err
		}
		a.retries.Add(1)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			pause *= 2
		}
	}
}
