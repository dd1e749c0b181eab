package process

import "syscall"

// dieWithParent sees to it that nothing stays behind when the tests are killed.
func dieWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGKILL }
