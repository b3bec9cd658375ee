package demo

import "syscall"

// childAttr keeps the terminal's Ctrl-C from the child, which is stopped when its time has come, and lets it die with
// this process.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
