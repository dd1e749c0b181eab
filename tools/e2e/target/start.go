package target

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/stepwell/stepwell/tools/e2e/process"
)

// Start is the production server in one process, with Postgres, Redis and keys.
func Start() Kind { return Kind{Name: "start", Keys: true, Costly: true, Start: startStart} }

func startStart(ctx context.Context, settings Settings) (*Server, error) {
	address, store, keys, err := settings.begin(ctx)
	if err != nil {
		return nil, err
	}
	host, port, _ := strings.Cut(address, ":")
	server, err := process.Start(ctx, process.Command{
		Name: "stepwell start", Program: settings.program("stepwell"),
		Env: slices.Concat(store.databaseEnv(), store.redisEnv(), keys.eventEnv(), keys.signingEnv()),
		Arguments: []string{
			"start", "--host", host, "--port", port, "--grpc-port", "0",
			"--retry-interval", retryInterval, "--apps-poll-interval", pollInterval, "--urls", strings.Join(settings.AppURLs, ","),
			"--runner-queue-depth-max", strconv.Itoa(queueDepthMax),
		},
	})
	if err != nil {
		return nil, err
	}
	url := "http://" + address
	return &Server{
		URLs: []string{url}, Probes: []string{url + "/readyz"}, EventKey: keys.event, SigningKey: keys.signing,
		AppEnv: append(keys.appEnv(), "INNGEST_BASE_URL="+url), Processes: []*process.Process{server},
		QueueDepthMax: queueDepthMax, store: store, keys: keys,
	}, nil
}

// begin is where the server is, what it keeps things in, and its keys: new ones, or those of the backup.
func (s Settings) begin(ctx context.Context) (string, store, keys, error) {
	if s.Backup != nil {
		store, err := s.Stores.restore(ctx, s.Backup)
		return s.Backup.address, store, s.Backup.keys, err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return "", store{}, keys{}, err
	}
	store, err := s.Stores.next(ctx)
	return address, store, newKeys(), err
}
