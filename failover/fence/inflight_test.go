package fence

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// lossyLink listens for one connection to the server at address and loses the packet that opens it: that comes when
// deliver is closed, even if its sender has hung up meanwhile, as a retransmitted segment does. over is closed when
// the server has answered it or hung up.
func lossyLink(t *testing.T, address string, deliver <-chan struct{}) (listens string, over <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		client, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = client.Close() }()
		server, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		defer func() { _ = server.Close() }()
		answers := make(chan struct{}, 1)
		go func() {
			defer close(answers)
			buf := make([]byte, 64<<10)
			for {
				n, err := server.Read(buf)
				if err != nil {
					return
				}
				select {
				case <-deliver:
					return
				default:
					_, _ = client.Write(buf[:n])
				}
			}
		}()
		buf := make([]byte, 64<<10)
		for {
			n, err := client.Read(buf)
			if err != nil {
				return
			}
			if bytes.Contains(buf[:n], []byte("read_only = 0")) {
				<-deliver
				_, _ = server.Write(buf[:n])
				<-answers
				return
			}
			_, _ = server.Write(buf[:n])
		}
	}()
	return l.Addr().String(), ended
}

// The packet that opens the candidate is lost and comes again after the promotion was given up: "still closed" must
// stay true.
func TestALateOpenerOpensNothing(t *testing.T) {
	onPairs(t, func(s *site) {
		ctx := context.Background()
		a := s.attempt(limits())
		proof := s.mustClose(a)
		deliver := make(chan struct{})
		address, over := lossyLink(s.t, s.pair.Servers[1].Addr(), deliver)
		db, err := flavor.Open(address, flavor.Login{User: mysqltest.ControlUser, Password: mysqltest.ControlPassword})
		if err != nil {
			s.t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		conn, err := db.Conn(ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		l := limits()
		l.Settle = 500 * time.Millisecond
		if err := Promote(ctx, proof, s.b, conn, l); !errors.Is(err, ErrNotOpened) {
			s.t.Errorf("promote: %v", err)
		}
		close(deliver)
		<-over
		defer func() { _ = s.b.Dialect.SetReadOnly(ctx, s.b.DB) }() // as it was, if this has failed
		if state := s.flags(s.b); state != closed {
			s.t.Errorf("the candidate was opened after all: %d", state)
		}
		if err := a.Reopen(ctx); err != nil {
			s.t.Error(err)
		}
	})
}
