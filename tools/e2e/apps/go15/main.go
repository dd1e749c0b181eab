// Command go15 is the kitchen-sink app on v0.15.0 of the Go SDK. CHECKPOINTING=on switches on what is off by default.
package main

import (
	"cmp"
	"context"
	"log"
	"os"

	"github.com/inngest/inngest/pkg/enums"
	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/inngest/inngestgo/stephttp"

	"github.com/stepwell/stepwell/tools/e2e/apps/kitchensink"
)

func main() {
	var options inngestgo.ClientOpts
	server := cmp.Or(os.Getenv("INNGEST_API_BASE_URL"), os.Getenv("INNGEST_BASE_URL"))
	if os.Getenv("CHECKPOINTING") == "on" {
		options.Checkpoint = checkpoint.ConfigSafe
		// Unlike the rest of the SDK, its client for checkpoints does not look for the server in the environment.
		if server != "" {
			options.APIBaseURL = &server
		}
	}
	// Neither do durable endpoints.
	provider := stephttp.Setup(stephttp.SetupOpts{Optional: stephttp.OptionalSetupOpts{BaseURL: server}})
	log.Fatal(kitchensink.Serve(kitchensink.SDK{Options: options, Race: race, Endpoint: provider.Middleware}))
}

func race(ctx context.Context, branches ...func(context.Context) (any, error)) group.Results {
	return group.ParallelWithOpts(ctx, group.ParallelOpts{ParallelMode: enums.ParallelModeRace}, branches...)
}
