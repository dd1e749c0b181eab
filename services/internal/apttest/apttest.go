// Package apttest finds the programs that tests need, and installs those that are missing where it may: on Debian, as root,
// which is what containers are.
//
// It must not be used outside tests.
package apttest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Program is the path of a program, which is in the Debian package of that name. otherwise says what to do if it is
// missing and cannot be installed. Test binaries that need it at the same time take turns.
func Program(name, debianPackage, otherwise string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Getuid() != 0 {
		return "", errors.New(name + " is not installed: " + otherwise)
	}
	unlock, err := lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	if path, err := exec.LookPath(name); err == nil {
		return path, nil // installed by the one before us
	}
	fmt.Fprintf(os.Stderr, "%s is not installed, installing it with apt-get\n", name)
	for _, arguments := range [][]string{
		{"update"}, {"install", "--yes", "--no-install-recommends", debianPackage},
	} {
		command := exec.Command(apt, append([]string{"-o", "DPkg::Lock::Timeout=300"}, arguments...)...)
		command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		command.Stdout, command.Stderr = os.Stderr, os.Stderr
		if err := command.Run(); err != nil {
			return "", fmt.Errorf("apt-get %s: %w: %s", arguments[0], err, otherwise)
		}
	}
	return exec.LookPath(name)
}

// lock waits until no other test binary installs. The lock ends with the process, however that ends.
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
