//go:build linux || darwin || freebsd

package doctor

import (
	"fmt"
	"syscall"
)

// statDisk asks the operating system.
func statDisk(dir string) (disk, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return disk{}, fmt.Errorf("look at the disk of %s: %w", dir, err)
	}
	size := uint64(st.Bsize) //nolint:unconvert // its type differs between systems
	return disk{path: dir, total: size * st.Blocks, free: size * uint64(st.Bavail)}, nil
}
