package main

import "syscall"

// wantedFiles is how many files each process should be able to open: a proxied session takes two.
const wantedFiles = 65536

// raiseFileLimit lets this process and its children open as many files as it can; beyond the hard limit only root
// may go.
func raiseFileLimit() {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil || l.Cur >= wantedFiles {
		return
	}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: wantedFiles, Max: max(l.Max, wantedFiles)}) != nil {
		l.Cur = l.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l) // what is possible
	}
}

// fileLimit is how many files a process can open.
func fileLimit() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 1024
	}
	return int(min(l.Cur, 1<<30))
}
