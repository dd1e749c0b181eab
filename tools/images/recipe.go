package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// recipe says what an image is made of.
type recipe struct {
	// Name is that of the program, and the last part of the image's.
	Name string
	// Dir is the folder where it is compiled, and Package what is compiled; below the repository.
	Dir, Package string
	// Description is one sentence for the labels.
	Description string
}

// recipes are all images there are.
func recipes() []recipe {
	return []recipe{
		{"event-api", ".", "./services/event-api/cmd/event-api", "The public door of Stepwell: events, registrations, API"},
		{"runner", ".", "./services/runner/cmd/runner", "Decides what events start, resume and cancel in Stepwell"},
		{"executor", ".", "./services/executor/cmd/executor", "Calls apps and records what they answer in Stepwell"},
		{"state", ".", "./services/state/cmd/state", "Keeps the runs of Stepwell in Postgres"},
		{"stepwell", ".", "./services/standalone/cmd/stepwell", "The command line of Stepwell, and all services in one"},
		{"example", "deploy/example", ".", "An app with a durable function, run by Stepwell"},
		{"publisher", "tools/cluster", "./publisher", "Publishes events to Stepwell over gRPC, for the test in a cluster"},
	}
}

func names() []string {
	var all []string
	for _, recipe := range recipes() {
		all = append(all, recipe.Name)
	}
	return all
}

// chosen returns the recipes with these names; all, if there are none.
func chosen(wanted []string) ([]recipe, error) {
	for _, name := range wanted {
		if !slices.Contains(names(), name) {
			return nil, fmt.Errorf("service %q: it must be one of %s", name, strings.Join(names(), ", "))
		}
	}
	return slices.DeleteFunc(recipes(), func(r recipe) bool {
		return len(wanted) > 0 && !slices.Contains(wanted, r.Name)
	}), nil
}

// reference is the name of the image with its tag.
func (r recipe) reference(of release) string { return "stepwell/" + r.Name + ":" + of.Version }

// release says of what, and as what, images are made. The same release gives the same bytes.
type release struct {
	// Root is the repository.
	Root string
	// Version is what programs say they are, and the tag; Revision the commit.
	Version, Revision string
	// Created is the time of the commit, in whole seconds. There is no other time in an image.
	Created time.Time
	// Toolchain is the Go that compiles, as GOTOOLCHAIN names it.
	Toolchain string
}

// versionUnknown is the version where there is no repository to ask.
const versionUnknown = "unknown"

// fill asks git for what was not given. epoch is $SOURCE_DATE_EPOCH: seconds since 1970, or empty for the commit's.
func (r release) fill(ctx context.Context, epoch string) (release, error) {
	git := func(args ...string) string {
		// #nosec G204 -- the folder is the one that we were told to build
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", r.Root}, args...)...).Output()
		if err != nil {
			return "" // a copy without a repository, as in the Dockerfile
		}
		return strings.TrimSpace(string(out))
	}
	if r.Version == "" {
		r.Version = git("describe", "--tags", "--always", "--dirty", "--abbrev=12")
	}
	if r.Version == "" {
		r.Version = versionUnknown
	}
	if r.Revision == "" {
		r.Revision = git("rev-parse", "HEAD")
	}
	if epoch == "" {
		epoch = git("log", "-1", "--format=%ct")
	}
	if epoch == "" {
		epoch = "0"
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || seconds < 0 {
		return r, fmt.Errorf("SOURCE_DATE_EPOCH is %q, it must be seconds since 1970", epoch)
	}
	r.Created = time.Unix(seconds, 0).UTC()
	return r, nil
}

// findRoot returns the repository that a folder is in; empty means the current one.
func findRoot(folder string) (string, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	for dir := folder; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New(folder + " is not in the repository: there is no go.work above it")
		}
	}
}
