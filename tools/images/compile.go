package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// pinnedToolchain is the Go that compiles what is in images, whichever Go runs this program. The Dockerfile has the same
// one.
const pinnedToolchain = "go1.26.8"

// supported are the platforms that images may be for.
func supported() []string { return []string{"linux/amd64", "linux/arm64"} }

// compile compiles programs for a platform below the folder work, and returns their files by name.
func compile(
	ctx context.Context, of release, recipes []recipe, platform, work string,
) (map[string]string, error) {
	environ, err := environment(ctx, of.Toolchain, platform)
	if err != nil {
		return nil, err
	}
	binaries := map[string]string{}
	byDir := map[string][]recipe{}
	for _, recipe := range recipes {
		byDir[recipe.Dir] = append(byDir[recipe.Dir], recipe)
	}
	for dir, together := range byDir {
		out := filepath.Join(work, strings.ReplaceAll(platform, "/", "-"), dir)
		if err := os.MkdirAll(out, 0o750); err != nil {
			return nil, err
		}
		args := []string{
			"build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w -buildid= -X main.version=" + of.Version,
			"-o", out + string(filepath.Separator),
		}
		for _, recipe := range together {
			args = append(args, recipe.Package)
			binaries[recipe.Name] = filepath.Join(out, recipe.Name)
		}
		// #nosec G204 -- the arguments are ours, and the version is one of them
		command := exec.CommandContext(ctx, "go", args...)
		command.Dir = filepath.Join(of.Root, dir)
		command.Env = append(slices.Clone(environ), "GOWORK="+workspace(dir))
		if said, err := command.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("compile in %s for %s: %w\n%s", dir, platform, err, said)
		}
	}
	return binaries, nil
}

// workspace is the value of GOWORK in a folder: only the repository's own one uses go.work.
func workspace(dir string) string {
	if dir == "." {
		return ""
	}
	return "off"
}

// environment is that of the go command: without what changes the bytes of a program, wherever it is set. Where modules
// come from and where results are kept stays as it is.
func environment(ctx context.Context, toolchain, platform string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "-json", "GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOPROXY",
		"GOPRIVATE", "GOVCS", "GOINSECURE", "GOAUTH", "GOCACHE", "GOMODCACHE", "GOPATH").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	var settings map[string]string
	if err := json.Unmarshal(out, &settings); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	environ := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "GO") || strings.HasPrefix(variable, "CGO_")
	})
	for name, value := range settings {
		environ = append(environ, name+"="+value)
	}
	system, architecture, _ := strings.Cut(platform, "/")
	return append(environ, "GOENV=off", "GOTOOLCHAIN="+toolchain, "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+architecture,
		"GOAMD64=v1", "GOARM64=v8.0"), nil
}
