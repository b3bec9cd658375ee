//go:build !(linux || darwin || freebsd)

package doctor

import "errors"

func statDisk(string) (disk, error) {
	return disk{}, errors.New("free space cannot be seen on this system")
}
