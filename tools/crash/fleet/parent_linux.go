package fleet

import (
	"os/exec"
	"syscall"
)

// dieWithUs sees to it that nothing stays behind when this program is killed.
func dieWithUs(command *exec.Cmd, signal syscall.Signal) {
	command.SysProcAttr.Pdeathsig = signal
}
