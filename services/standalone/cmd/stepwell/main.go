// Command stepwell is everything in one binary: the dev server and the command line.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/stepwell/stepwell/services/standalone/cli"
)

// version is set when the binary is built.
var version = "development"

func main() {
	if err := cli.New(version, os.Environ()).ExecuteContext(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "stepwell:", err)
		os.Exit(1)
	}
}
