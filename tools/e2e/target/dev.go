package target

import (
	"context"
	"fmt"
	"strconv"

	"github.com/stepwell/stepwell/tools/e2e/process"
)

// Dev is the dev server: one process, in memory, without keys.
func Dev() Kind { return Kind{Name: "dev", Start: startDev} }

func startDev(ctx context.Context, settings Settings) (*Server, error) {
	port, err := process.FreePort(ctx)
	if err != nil {
		return nil, err
	}
	arguments := []string{"dev", "--port", strconv.Itoa(port)}
	if settings.Defaults {
		grpcPort, err := process.FreePort(ctx)
		if err != nil {
			return nil, err
		}
		arguments = append(arguments, "--grpc-port", strconv.Itoa(grpcPort))
	} else {
		arguments = append(arguments, "--grpc-port", "0", "--no-discovery", "--retry-interval", retryInterval,
			"--poll-interval", pollInterval, "--queue-depth-max", strconv.Itoa(queueDepthMax))
	}
	for _, url := range settings.AppURLs {
		arguments = append(arguments, "--urls", url)
	}
	server, err := process.Start(ctx, process.Command{
		Name: "stepwell dev", Program: settings.program("stepwell"), Arguments: arguments,
	})
	if err != nil {
		return nil, err
	}
	url := fmt.Sprintf("http://localhost:%d", port)
	return &Server{
		URLs: []string{url}, Probes: []string{url + "/ready"}, AppEnv: []string{"INNGEST_DEV=" + url}, EventKey: "any",
		QueueDepthMax: queueDepthMax, Processes: []*process.Process{server},
	}, nil
}
