//go:build !linux

package mysqltest

import "errors"

var canMount = errors.New("file systems in memory are made on Linux only")

func mountMemory(string, int) error { return canMount }

func unmount(string) error { return canMount }
