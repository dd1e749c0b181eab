//go:build !linux

package fleet

import (
	"os/exec"
	"syscall"
)

// dieWithUs does nothing: only Linux offers it.
func dieWithUs(*exec.Cmd, syscall.Signal) {}
