package target

import (
	"context"
	"slices"
	"strings"

	"github.com/stepwell/stepwell/tools/e2e/process"
)

// Start is the production server in one process, with Postgres, Redis and keys.
func Start() Kind { return Kind{Name: "start", Keys: true, Start: startStart} }

func startStart(ctx context.Context, settings Settings) (*Server, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	store, err := settings.Stores.next(ctx)
	if err != nil {
		return nil, err
	}
	keys := newKeys()
	host, port, _ := strings.Cut(address, ":")
	server, err := process.Start(ctx, process.Command{
		Name: "stepwell start", Program: settings.program("stepwell"),
		Env: slices.Concat(store.databaseEnv(), store.redisEnv(), keys.eventEnv(), keys.signingEnv()),
		Arguments: []string{
			"start", "--host", host, "--port", port, "--grpc-port", "0",
			"--retry-interval", retryInterval, "--apps-poll-interval", pollInterval, "--urls", strings.Join(settings.AppURLs, ","),
		},
	})
	if err != nil {
		return nil, err
	}
	url := "http://" + address
	return &Server{
		URLs: []string{url}, Probes: []string{url + "/readyz"}, EventKey: keys.event, SigningKey: keys.signing,
		AppEnv: append(keys.appEnv(), "INNGEST_BASE_URL="+url), Processes: []*process.Process{server},
	}, nil
}
