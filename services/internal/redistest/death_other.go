//go:build !linux

package redistest

import "syscall"

// diesWithUs leaves a child behind when its parent is killed: there is no such thing here.
func diesWithUs() *syscall.SysProcAttr { return nil }
