// Command compatibility prints the page on compatibility that a file of results of the end-to-end tests makes.
//
//	compatibility RESULTS
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/stepwell/stepwell/tools/e2e/compatibility"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: compatibility RESULTS")
		os.Exit(2)
	}
	results, err := compatibility.Read(os.Args[1])
	if err == nil {
		_, err = io.WriteString(os.Stdout, compatibility.Page(results.Results))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "compatibility:", err)
		os.Exit(1)
	}
}
