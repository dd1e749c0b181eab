package process

import (
	"os/exec"
	"syscall"
)

// dieWithParent sees to it that nothing stays behind when the tests are killed.
func dieWithParent(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
