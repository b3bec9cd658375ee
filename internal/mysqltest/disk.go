package mysqltest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// diskDir is where a server's own file system is mounted in its directory.
const diskDir = "disk"

// Disk tells whether servers can be given a file system of their own here: that needs Linux, root, and a container that
// lets root mount.
func Disk() error {
	if os.Getuid() != 0 {
		return errors.New("mounting a file system needs root")
	}
	if canMount != nil {
		return canMount
	}
	dir, err := os.MkdirTemp("", "onewriter-mount-")
	if err != nil {
		return err
	}
	if err = mountMemory(dir, 1); err != nil {
		err = fmt.Errorf("mounting a file system is not allowed here: %w", err)
	} else {
		err = unmount(dir)
	}
	return errors.Join(err, os.Remove(dir))
}

// mountDisk makes the directory of the data a file system in memory.
func (s *Server) mountDisk(megabytes int) error {
	if err := os.Mkdir(s.disks(), 0o755); err != nil {
		return fmt.Errorf("make the mount point: %w", err)
	}
	if err := mountMemory(s.disks(), megabytes); err != nil {
		return fmt.Errorf("mount %d MiB for the data: %w", megabytes, err)
	}
	s.disk = true
	return nil
}

func (s *Server) unmountDisk() error {
	if !s.disk {
		return nil
	}
	s.disk = false
	return unmount(s.disks())
}

func (s *Server) disks() string { return filepath.Join(s.Dir, diskDir) }

// filler is the file that takes all room on a full disk.
func (s *Server) filler() string { return filepath.Join(s.disks(), "filler") }

// FillDisk takes all room that is left on the server's own file system.
func (s *Server) FillDisk() error {
	if !s.disk {
		return errors.New("the server has no file system of its own")
	}
	f, err := os.OpenFile(s.filler(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	defer func() { _ = f.Close() }()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			return fmt.Errorf("fill the disk: %w", err)
		}
	}
	return nil
}

// FreeDisk undoes FillDisk.
func (s *Server) FreeDisk() error { return os.Remove(s.filler()) }
