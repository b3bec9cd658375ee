package health

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/topology"
)

// dialError is an error as net.Dial gives it.
func dialError(errno syscall.Errno) error {
	return fmt.Errorf("connect: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)})
}

func serverError(number uint16, text string) error {
	return fmt.Errorf("read the variables: %w", &mysql.MySQLError{Number: number, Message: text})
}

func TestClassify(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want topology.Class
	}{
		{"no error", nil, topology.ClassOK},
		{"nobody listens", dialError(syscall.ECONNREFUSED), topology.ClassRefused},
		{"no answer to SYN", dialError(syscall.ETIMEDOUT), topology.ClassTimeout},
		{"no route", dialError(syscall.EHOSTUNREACH), topology.ClassTimeout},
		{"network gone", dialError(syscall.ENETUNREACH), topology.ClassTimeout},
		{"deadline of the probe", fmt.Errorf("x: %w", context.DeadlineExceeded), topology.ClassTimeout},
		{"deadline of the socket", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, topology.ClassTimeout},
		{"reset", &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, topology.ClassReset},
		{"broken pipe", &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)}, topology.ClassReset},
		{"end of stream", io.EOF, topology.ClassReset},
		{"end in a packet", io.ErrUnexpectedEOF, topology.ClassReset},
		{"the driver's broken connection", driver.ErrBadConn, topology.ClassReset},
		{"the driver's invalid connection", mysql.ErrInvalidConn, topology.ClassReset},
		{"closed in the login", fmt.Errorf("connect: %w", errLoginEnd), topology.ClassReset},
		{"wrong password", serverError(1045, "Access denied for user"), topology.ClassAuth},
		{"host not allowed", serverError(1130, "Host '127.0.0.1' is not allowed"), topology.ClassAuth},
		{"host blocked", serverError(1129, "Host is blocked"), topology.ClassAuth},
		{"no slot", serverError(1040, "Too many connections"), topology.ClassTooMany},
		{"no slot for the user", serverError(1203, "max_user_connections"), topology.ClassTooMany},
		{"shutdown", serverError(1053, "Server shutdown in progress"), topology.ClassShutdown},
		{"killed connection", serverError(1927, "Connection was killed"), topology.ClassReset},
		{"silent for too long", serverError(4031, "disconnected because of inactivity"), topology.ClassReset},
		{"read-only", serverError(1290, "--read-only"), topology.ClassError},
		{"lock wait", serverError(1205, "Lock wait timeout exceeded"), topology.ClassError},
		{"disk full", serverError(1114, "The table is full"), topology.ClassError},
		{"no right", serverError(1227, "Access denied; you need"), topology.ClassError},
		{"anything", errors.New("anything"), topology.ClassError},
	}
	for _, tt := range tests {
		if got := Classify(tt.err); got != tt.want {
			t.Errorf("%s: Classify(%v) = %s, want %s", tt.name, tt.err, got, tt.want)
		}
		joined := errors.Join(tt.err, nil)
		if got := Classify(joined); got != tt.want {
			t.Errorf("%s, joined: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestClassifyRealSockets meets errors that the kernel and the driver really give.
func TestClassifyRealSockets(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		addr string
		want topology.Class
	}{
		"refused":      {refused, topology.ClassRefused},
		"ends at once": {listen(t, func(c net.Conn) { _ = c.Close() }), topology.ClassReset},
		"says nothing": {listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), topology.ClassTimeout},
		"has no slot": {listen(t, func(c net.Conn) {
			payload := append([]byte{0xff, 0x10, 0x04}, "Too many connections"...)
			_, _ = c.Write(append([]byte{byte(len(payload)), 0, 0, 0}, payload...))
			_ = c.Close()
		}), topology.ClassTooMany},
	} {
		t.Run(name, func(t *testing.T) {
			p := newSQLProber(openDB(t, tt.addr), DefaultInterval)
			defer p.close()
			ctx, cancel := context.WithTimeout(t.Context(), DefaultTimeout/2)
			defer cancel()
			r := p.probe(ctx, order{})
			if got := Classify(r.err); got != tt.want {
				t.Errorf("%v is %s, want %s", r.err, got, tt.want)
			}
		})
	}
}
