package backend_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/wire"
)

// says listens, and says text to each who comes; it closes the connection if hangUp is set.
func says(t *testing.T, text []byte, hangUp bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var conns []net.Conn
		for {
			conn, err := l.Accept()
			if err != nil {
				break
			}
			_, _ = conn.Write(text)
			conns = append(conns, conn)
			if hangUp {
				_ = conn.Close()
			}
		}
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

func packet(payload []byte) []byte {
	return append([]byte{byte(len(payload)), 0, 0, 0}, payload...)
}

func TestGreetOfBadServers(t *testing.T) {
	d := backend.New(backend.Config{Timeout: 200 * time.Millisecond})
	defer d.Close()
	refused := wire.AppendErr(nil, 1040, "", "Too many connections")
	_, err := d.Greet(t.Context(), says(t, packet(refused), true))
	var server *wire.ServerError
	if !errors.As(err, &server) || server.Code != 1040 || string(server.Raw) != string(refused) {
		t.Errorf("refusal: got %v", err)
	}
	for name, c := range map[string]struct {
		text []byte
		want error
	}{
		"silent":  {nil, os.ErrDeadlineExceeded},
		"halfway": {[]byte("\x40\x00\x00\x00\x0a9."), os.ErrDeadlineExceeded},
		"http":    {packet([]byte("HTTP/1.1 400 Bad Request")), wire.ErrMalformed},
	} {
		_, err := d.Greet(t.Context(), says(t, c.text, false))
		if !errors.Is(err, c.want) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	nobody := says(t, nil, true)
	if _, err := d.Greet(t.Context(), nobody); err == nil {
		t.Error("a server that hangs up: no error")
	}
	if _, err := d.Greet(t.Context(), "127.0.0.1:1"); err == nil {
		t.Error("no server: no error")
	}
}

func TestLoginEndsWithItsContext(t *testing.T) {
	greeting := wire.Greeting{
		Version: "8.0.0", AuthPlugin: auth.PluginSHA2,
		Capabilities: wire.ClientMySQL | wire.ClientProtocol41 | wire.ClientSecureConnection | wire.ClientPluginAuth,
	}
	d := backend.New(backend.Config{})
	defer d.Close()
	g, err := d.Greet(t.Context(), says(t, packet(greeting.AppendTo(nil)), false))
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("the client has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	timer := time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
	defer timer.Stop()
	start := time.Now()
	if _, _, err = g.Login(ctx, backend.LoginParams{User: "u", Secret: auth.NewPassword([]byte("x"))}); !errors.Is(err, cause) {
		t.Fatalf("got %v", err)
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Fatalf("took %v", d)
	}
}

// A connection that was given back and ended by the server in the meantime is not handed out.
func TestDeadSpareIsNotReused(t *testing.T) {
	root := mariaDB(t)
	d := backend.New(backend.Config{})
	defer d.Close()
	first, err := d.Greet(t.Context(), root.addr)
	if err != nil {
		t.Fatal(err)
	}
	first.Release()
	mustExec(t, root.db, fmt.Sprintf("KILL %d", first.Greeting.ConnID))
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		second, err := d.Greet(t.Context(), root.addr)
		if err != nil {
			t.Fatal(err)
		}
		if second.Greeting.ConnID != first.Greeting.ConnID {
			second.Release()
			return
		}
		second.Release() // the server's FIN has not come yet
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("a dead connection is handed out")
}

// Nobody used it for five seconds: it is closed, and so is what comes back after Close.
func TestSparesEnd(t *testing.T) {
	root := mariaDB(t)
	d := backend.New(backend.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- d.Run(ctx) }()
	g, err := d.Greet(t.Context(), root.addr)
	if err != nil {
		t.Fatal(err)
	}
	g.Release()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	next, err := d.Greet(t.Context(), root.addr)
	if err != nil {
		t.Fatal(err)
	}
	if next.Greeting.ConnID == g.Greeting.ConnID {
		t.Fatal("handed out after the end")
	}
	next.Release()
}
