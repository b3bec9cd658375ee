package proxy

import (
	"crypto/tls"
	"testing"

	"github.com/onewriter/onewriter/internal/certtest"
)

// tlsPipe is an endpoint that is a client of its peer. The peer has sent a session ticket.
func tlsPipe(t *testing.T) (*endpoint, *tls.Conn) {
	t.Helper()
	under, tcp := pipe(t)
	a := certtest.New(t)
	cert, err := tls.LoadX509KeyPair(a.Issue("server", "localhost"))
	if err != nil {
		t.Fatal(err)
	}
	// Only when it asks for a certificate does Go's server send its ticket after the handshake, as OpenSSL always does.
	peer := tls.Server(tcp, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert})
	done := make(chan error, 1)
	go func() { done <- peer.HandshakeContext(t.Context()) }()
	conn := tls.Client(under.conn, &tls.Config{RootCAs: a.Pool(), ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(1)})
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	e := new(endpoint)
	e.open(conn)
	wait(t, func() bool { n, err := peek(conn); return n > 0 && err == nil })
	return e, peer
}

// TestQuietUnderTLS tells session tickets, which a server sends unasked, from its good-bye.
func TestQuietUnderTLS(t *testing.T) {
	e, peer := tlsPipe(t)
	if !e.quiet() {
		t.Error("not quiet after a session ticket")
	}
	for _, said := range []string{"x", "the rest"} {
		if _, err := peer.Write([]byte(said)); err != nil {
			t.Fatal(err)
		}
		if err := e.fill(); err != nil || string(e.buf.bytes()) != said {
			t.Fatalf("%q, %v", e.buf.bytes(), err)
		}
		e.buf.consume(len(said))
		if !e.quiet() {
			t.Error("not quiet")
		}
	}
	if _, err := peer.Write([]byte("good-bye")); err != nil {
		t.Fatal(err)
	}
	wait(t, func() bool { return !e.quiet() })
}

func TestQuietUnderTLSSeesTheEnd(t *testing.T) {
	e, peer := tlsPipe(t)
	_ = peer.CloseWrite()
	wait(t, func() bool { return !e.quiet() })
}
