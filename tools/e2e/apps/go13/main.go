// Command go13 is the kitchen-sink app on v0.13.0 of the Go SDK.
package main

import (
	"log"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/group"

	"github.com/stepwell/stepwell/tools/e2e/apps/kitchensink"
)

func main() {
	// This version knows neither checkpointing nor a mode of groups: a branch goes on when all have come as far.
	log.Fatal(kitchensink.Serve(kitchensink.SDK{Options: inngestgo.ClientOpts{}, Race: group.Parallel}))
}
