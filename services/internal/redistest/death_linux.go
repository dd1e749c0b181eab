package redistest

import "syscall"

// diesWithUs ends a child when its parent ends, however that ends.
func diesWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
