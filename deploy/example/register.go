package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// The wait between attempts to register grows from the first to the second.
const (
	registerAgainAfter = time.Second
	registerWaitMax    = 30 * time.Second
)

// register has the SDK tell Stepwell what the app serves, and that it is reached at INNGEST_SERVE_HOST: a PUT to the app's
// own endpoint does. It goes on until Stepwell takes it, so that the two may start in any order. Every replica does so,
// and so does the next version when it is rolled out.
func register(ctx context.Context, url string) {
	for wait := registerAgainAfter; ; wait = min(2*wait, registerWaitMax) {
		err := put(ctx, url)
		if err == nil {
			fmt.Fprintln(os.Stdout, "shop is registered")
			return
		}
		fmt.Fprintf(os.Stderr, "example: register: %v; again in %s\n", err, wait)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func put(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, registerWaitMax)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		if err != nil {
			return err
		}
		return fmt.Errorf("%s: %s", response.Status, answer)
	}
	return nil
}
