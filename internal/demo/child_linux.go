package demo

import "syscall"

// childAttr keeps the terminal's Ctrl-C from the child, which is ended in order instead, and ends it with this process.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
