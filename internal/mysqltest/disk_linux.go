package mysqltest

import (
	"strconv"
	"syscall"
)

var canMount error

func mountMemory(dir string, megabytes int) error {
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.Itoa(megabytes)+"m")
}

func unmount(dir string) error { return syscall.Unmount(dir, syscall.MNT_DETACH) }
