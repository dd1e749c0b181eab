package backend

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// installTimeout bounds an installation, others before it included.
const installTimeout = 10 * time.Minute

// install installs a Debian package unless it is found, where that can be done: on Debian, as root, which is what containers
// are. Tests that need it at the same time take turns.
func install(ctx context.Context, debianPackage string, found func() bool) error {
	if found() {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Getuid() != 0 {
		return fmt.Errorf("%[1]s is not installed: install it, on Debian with apt-get install %[1]s", debianPackage)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, installTimeout, errors.New("installing takes too long"))
	defer cancel()
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	if found() {
		return nil // installed by the one before us
	}
	fmt.Fprintf(os.Stderr, "%s is not installed, installing it with apt-get\n", debianPackage)
	for _, arguments := range [][]string{
		{"update"}, {"install", "--yes", "--no-install-recommends", debianPackage},
	} {
		//nolint:gosec // the only variable is the name of a package
		command := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=300"}, arguments...)...)
		command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		command.Stdout, command.Stderr = os.Stderr, os.Stderr
		if err := command.Run(); err != nil {
			return fmt.Errorf("apt-get %s: %w: install %s by hand", arguments[0], errors.Join(err, context.Cause(ctx)), debianPackage)
		}
	}
	return nil
}

// lock waits until no other test installs. The lock ends with the process, however that ends.
func lock() (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(os.TempDir(), "stepwell-apt.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", file.Name(), err), file.Close())
	}
	return func() { _ = file.Close() }, nil
}
