package sdkapp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stepwell/stepwell/tools/e2e/process"
)

// program is how an app comes to run.
type program interface {
	// install makes the program ready to start, once. It tells out what takes long.
	install(ctx context.Context, out io.Writer) error
	// command starts the program.
	command() process.Command
}

// installing lets one program be installed at a time: two would only slow each other down.
var installing sync.Mutex //nolint:gochecknoglobals // the machine is one

// Install makes the app ready to start. It does nothing if it is.
func (a App) Install(ctx context.Context, out io.Writer) error {
	installing.Lock()
	defer installing.Unlock()
	if err := a.program.install(ctx, out); err != nil {
		return fmt.Errorf("install %s: %w", a.Name, err)
	}
	return nil
}

// nodeProgram is a file in a folder with a package.json.
type nodeProgram struct {
	folder    string
	file      string
	installed bool
}

func (p *nodeProgram) install(ctx context.Context, out io.Writer) error {
	if p.installed {
		return nil
	}
	if err := checkNode(ctx); err != nil {
		return err
	}
	done := p.folder + "/node_modules/.package-lock.json" // what npm writes last
	if !isOlder(done, p.folder+"/package-lock.json") {
		p.installed = true
		return nil
	}
	fmt.Fprintf(out, "npm ci in %s, once\n", p.folder)
	command := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	command.Dir = p.folder
	if text, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci in %s: %w\n%s", p.folder, err, text)
	}
	if err := os.Chtimes(done, time.Time{}, time.Now()); err != nil {
		return fmt.Errorf("note that npm is done: %w", err)
	}
	p.installed = true
	return nil
}

func (p *nodeProgram) command() process.Command {
	return process.Command{Program: "node", Arguments: []string{p.folder + "/" + p.file}}
}

// nodeMajorMin is the oldest Node that the apps run on.
const nodeMajorMin = 20

func checkNode(ctx context.Context) error {
	need := fmt.Sprintf("the JavaScript apps need Node %d or newer, with npm; install it from https://nodejs.org", nodeMajorMin)
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%s is not installed: %s", name, need)
		}
	}
	version, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		return fmt.Errorf("node --version: %w", err)
	}
	text, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(version)), "v"), ".")
	if major, err := strconv.Atoi(text); err == nil && major < nodeMajorMin {
		return fmt.Errorf("node is %s: %s", strings.TrimSpace(string(version)), need)
	}
	return nil
}

// isOlder tells whether a file is older than another one, or not there.
func isOlder(file, than string) bool {
	first, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return true
	}
	second, secondErr := os.Stat(than)
	return err != nil || secondErr != nil || first.ModTime().Before(second.ModTime())
}

// goProgram is a folder with a Go module of its own, and the folder where its program goes.
type goProgram struct {
	folder    string
	built     string
	installed bool
}

func (p *goProgram) install(ctx context.Context, out io.Writer) error {
	if p.installed {
		return nil
	}
	built, err := filepath.Abs(p.built)
	if err != nil {
		return fmt.Errorf("place of the program: %w", err)
	}
	fmt.Fprintf(out, "go install in %s\n", p.folder)
	command := exec.CommandContext(ctx, "go", "install", "-buildvcs=false", ".")
	command.Dir = p.folder
	command.Env = append(os.Environ(), "GOWORK=off", "GOBIN="+built)
	if text, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go install in %s: %w\n%s", p.folder, err, text)
	}
	p.installed = true
	return nil
}

func (p *goProgram) command() process.Command {
	return process.Command{Program: filepath.Join(p.built, filepath.Base(p.folder))}
}
