package auth

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lockedPage gives n zero bytes outside the Go heap, locked into memory and left out of core dumps as far as the
// process may (RLIMIT_MEMLOCK); plain memory if it can't be mapped.
func lockedPage(n int) []byte {
	page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return make([]byte, n)
	}
	// Both are a hardening that a container may forbid; the key works without.
	_ = unix.Mlock(page)
	_ = unix.Madvise(page, unix.MADV_DONTDUMP)
	return page[:n:n]
}

// DisableCoreDumps forbids core dumps of this process, which would hold secrets. The limit does not count where cores are
// piped to a program (core(5)): so that those have nothing in them, no kind of memory is left in.
func DisableCoreDumps() error {
	return errors.Join(
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}),
		os.WriteFile("/proc/self/coredump_filter", []byte("0"), 0),
	)
}
