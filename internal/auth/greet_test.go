package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onewriter/onewriter/internal/wire"
)

var testGreeting = wire.Greeting{
	Version: "9.7.4", Salt: [20]byte([]byte("abcdefghijklmnopqrst")), AuthPlugin: PluginSHA2,
	Capabilities: wire.ClientMySQL | wire.ClientProtocol41 | wire.ClientSecureConnection | wire.ClientPluginAuth,
}

// greet runs Greet at one end of a pipe and client at the other.
func greet(t *testing.T, config *tls.Config, client func(conn net.Conn)) (*wire.PacketConn, wire.HandshakeResponse, error) {
	t.Helper()
	near, far := net.Pipe()
	_ = near.SetDeadline(time.Now().Add(5 * time.Second))
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = near.Close()
		<-done
	})
	go func() {
		defer close(done)
		defer far.Close()
		client(far)
	}()
	pc := wire.NewPacketConn(near)
	r, err := Greet(t.Context(), pc, testGreeting, config)
	return pc, r, err
}

func response() wire.HandshakeResponse {
	return wire.HandshakeResponse{
		Capabilities: testGreeting.Capabilities | wire.ClientMultiStatements, User: "u", Auth: make([]byte, 32), Plugin: PluginSHA2,
	}
}

func TestGreet(t *testing.T) {
	keys, err := NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]*tls.Config{"plain": nil, "tls": keys.ServerTLS()} {
		t.Run(name, func(t *testing.T) {
			pc, r, err := greet(t, config, func(conn net.Conn) {
				c := wire.NewPacketConn(conn)
				payload, _ := c.ReadPacket()
				g, _ := wire.ParseGreeting(payload)
				if g.Capabilities.Has(wire.ClientSSL) != (config != nil) {
					t.Errorf("capabilities %x", g.Capabilities)
				}
				if config != nil {
					_ = c.WritePacket(wire.AppendSSLRequest(nil, response()))
					if err := c.UpgradeClient(context.Background(), &tls.Config{InsecureSkipVerify: true}); err != nil {
						t.Error(err)
					}
				}
				_ = c.WritePacket(response().AppendTo(nil))
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.User != "u" || pc.Secure() != (config != nil) || r.Capabilities.Has(wire.ClientMultiStatements) {
				t.Fatalf("got %+v, secure %v", r, pc.Secure())
			}
		})
	}
}

func TestGreetRefusesBadClients(t *testing.T) {
	for name, c := range map[string]struct {
		send string
		want error
	}{
		"garbage":            {"GET / HTTP/1.0\r\n\r\n", nil},
		"old client":         {"\x05\x00\x00\x01\x85\xa6\x03\x00\x00", wire.ErrMalformed},
		"TLS without offer":  {"\x20\x00\x00\x01\x00\x0a\x00\x00" + string(make([]byte, 28)), wire.ErrMalformed},
		"empty packet":       {"\x00\x00\x00\x01", wire.ErrMalformed},
		"gone at once":       {"", nil},
		"cut in the middle":  {"\x40\x00\x00\x01\x00\x02", nil},
		"wrong packet order": {"\x01\x00\x00\x07x", nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := greet(t, nil, func(conn net.Conn) {
				_, _ = wire.NewPacketConn(conn).ReadPacket()
				_, _ = conn.Write([]byte(c.send))
			})
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestGreetEndsWithTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, err := greet(t, nil, func(conn net.Conn) {
			_, _ = wire.NewPacketConn(conn).ReadPacket()
			_, _ = conn.Write([]byte("\x05\x00\x00\x01x")) // five bytes, and then it hangs
			time.Sleep(time.Minute)
		})
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
	})
}
