//go:build !linux

package demo

import "syscall"

// childAttr keeps the terminal's Ctrl-C from the child, which is ended in order instead.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
