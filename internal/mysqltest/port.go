package mysqltest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Ports come from below those that Linux gives to outgoing connections (from 32768 on). Else such a connection could
// take the port of a server that is down for a moment, or even connect to itself there.
const (
	firstPort = 15000
	lastPort  = 32000
)

// errInUse tells that another process, or another server of this one, has the lock.
var errInUse = errors.New("in use")

// lockFile creates and locks a file without waiting. The lock ends when the file is closed, with the process at the
// latest; programs that the process starts don't inherit it.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errInUse
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// reservePort gives a free loopback port that nobody who uses this package takes until the lock is closed.
func reservePort() (int, *os.File, error) {
	cache, err := CacheDir()
	if err != nil {
		return 0, nil, err
	}
	dir := filepath.Join(cache, fmt.Sprintf("ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, nil, fmt.Errorf("reserve a port: %w", err)
	}
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		lock, err := lockFile(filepath.Join(dir, strconv.Itoa(port)))
		if errors.Is(err, errInUse) {
			continue
		}
		if err != nil {
			return 0, nil, fmt.Errorf("reserve a port: %w", err)
		}
		if bindable(port) {
			return port, lock, nil
		}
		_ = lock.Close()
	}
	return 0, nil, fmt.Errorf("no free port between %d and %d", firstPort, lastPort)
}

func bindable(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	return err == nil && l.Close() == nil
}
