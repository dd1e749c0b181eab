package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Settings of a run of the tests, from its environment.
const (
	// envServer is a stepwell binary to test; without it one is built from the sources.
	envServer = "E2E_SERVER"
	// envResults is a file to write the results to, as JSON.
	envResults = "E2E_RESULTS"
)

// Where things are, seen from this folder.
const (
	root        = "../.."
	appsFolder  = "apps"
	builtFolder = root + "/bin/e2e"
)

// scenariosAtOnce is how many scenarios run at a time. They wait more than they work: for timers, retries and restarts.
const scenariosAtOnce = "12"

// stepwellBinary is the server under test.
var stepwellBinary string

// results are what came of the scenarios.
var results resultList

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	isParallelSet := false
	flag.Visit(func(f *flag.Flag) { isParallelSet = isParallelSet || f.Name == "test.parallel" })
	if !isParallelSet {
		if err := flag.Set("test.parallel", scenariosAtOnce); err != nil {
			return 0, err
		}
	}
	stepwellBinary, err = findServer(context.Background())
	if err != nil {
		return 0, err
	}
	code = m.Run()
	if file := os.Getenv(envResults); file != "" {
		err = results.write(file)
	}
	return code, err
}

// findServer returns the binary to test, which `make build` makes unless the environment names one.
func findServer(ctx context.Context) (string, error) {
	if file := os.Getenv(envServer); file != "" {
		if _, err := os.Stat(file); err != nil {
			return "", fmt.Errorf("%s: %w", envServer, err)
		}
		return filepath.Abs(file)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Minute, errors.New("building takes too long"))
	defer cancel()
	build := exec.CommandContext(ctx, "make", "-C", root, "build")
	// What a make that runs these tests tells its own children is not meant for this one; nor is its GOWORK=off.
	build.Env = append(os.Environ(), "MAKEFLAGS=", "GOWORK=")
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make build: %w\n%s", err, text)
	}
	return filepath.Abs(root + "/bin/stepwell")
}
