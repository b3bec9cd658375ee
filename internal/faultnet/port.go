package faultnet

import (
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"
)

// place is a port that is bound but not listened on: attempts to connect are refused, and nobody else gets it.
type place struct {
	fd   int
	port int
	addr string
}

func newPlace() (*place, error) {
	fd, port, err := bind(0)
	if err != nil {
		return nil, err
	}
	return &place{fd: fd, port: port, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}, nil
}

func (p *place) close() { _ = syscall.Close(p.fd) }

// bind makes a socket that is bound to a loopback port, 0 for any.
func bind(port int) (fd, got int, err error) {
	syscall.ForkLock.RLock()
	fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return 0, 0, fmt.Errorf("make a socket: %w", err)
	}
	err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil {
		var name syscall.Sockaddr
		if name, err = syscall.Getsockname(fd); err == nil {
			return fd, name.(*syscall.SockaddrInet4).Port, nil
		}
	}
	_ = syscall.Close(fd)
	return 0, 0, fmt.Errorf("bind port %d: %w", port, err)
}

// hole makes attempts to connect hang: it listens with a full queue that nobody empties. The kernel drops what does
// not fit, and connects those that still wait when it listens properly again.
type hole struct {
	fd      int
	fillers []net.Conn
}

// maxFillers is more than the queue of a listener with backlog 0 takes.
const maxFillers = 8

// newHole opens a hole at p. One that the kernel does not let fill takes connections on which nothing is heard.
func newHole(p *place) *hole {
	fd, _, err := bind(p.port)
	if err != nil {
		return &hole{fd: -1}
	}
	h := &hole{fd: fd}
	if err := syscall.Listen(fd, 0); err != nil {
		return h
	}
	for range maxFillers {
		conn, err := net.DialTimeout("tcp", p.addr, 50*time.Millisecond)
		if err != nil {
			break
		}
		h.fillers = append(h.fillers, conn)
	}
	return h
}

func (h *hole) close() {
	if h.fd >= 0 {
		_ = syscall.Close(h.fd)
	}
	for _, c := range h.fillers {
		_ = c.Close()
	}
}
