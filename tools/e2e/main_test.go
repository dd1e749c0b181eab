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

	"github.com/stepwell/stepwell/tools/e2e/target"
)

// Settings of a run of the tests, from its environment.
const (
	// envServer is a stepwell binary to test, with the programs of the services beside it; without it all are built.
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
const scenariosAtOnce = "8"

// programs is the folder of the programs under test.
var programs string

// stores are what the servers under test keep things in.
var stores target.Stores

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
	programs, err = findPrograms(context.Background())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stores.Close()) }()
	code = m.Run()
	err = results.show(os.Stdout)
	if file := os.Getenv(envResults); file != "" {
		err = errors.Join(err, results.all(isWhole).Write(file))
	}
	return code, err
}

// findPrograms returns the folder of the programs to test, which `make build` makes unless the environment names one.
func findPrograms(ctx context.Context) (string, error) {
	if file := os.Getenv(envServer); file != "" {
		if _, err := os.Stat(file); err != nil {
			return "", fmt.Errorf("%s: %w", envServer, err)
		}
		return filepath.Abs(filepath.Dir(file))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Minute, errors.New("building takes too long"))
	defer cancel()
	build := exec.CommandContext(ctx, "make", "-C", root, "build")
	// What a make that runs these tests tells its own children is not meant for this one; nor is its GOWORK=off.
	build.Env = append(os.Environ(), "MAKEFLAGS=", "GOWORK=")
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make build: %w\n%s", err, text)
	}
	return filepath.Abs(root + "/bin")
}
