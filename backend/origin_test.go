package backend_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/certtest"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/proxyproto"
	"github.com/onewriter/onewriter/internal/wire"
)

// loginFrom logs in at a server as a client of the address from; the error is that of the login.
func loginFrom(t *testing.T, addr, from string, tls backend.TLSMode, v proxyproto.Version) (*backend.Conn, error) {
	t.Helper()
	d := backend.New(backend.Config{TLS: tls, ProxyProtocol: v, Logger: zerolog.Nop()})
	t.Cleanup(d.Close)
	g, err := d.Greet(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	p := backend.LoginParams{
		User: "o1", Secret: auth.NewPassword([]byte("one")), Charset: 45, Capabilities: wire.ClientMySQL | wire.ClientProtocol41 | wire.ClientDeprecateEOF,
		Origin: proxyproto.Header{Source: netip.MustParseAddrPort(from), Destination: netip.MustParseAddrPort("127.0.0.1:3306")},
	}
	conn, _, err := g.Login(t.Context(), p)
	if err == nil {
		t.Cleanup(func() { _ = conn.Close() })
	}
	return conn, err
}

// TestOrigin is about MariaDB servers, with TLS and without, that are told where clients come from.
func TestOrigin(t *testing.T) {
	mysqltest.RequireFlavor(t, mysqltest.MariaDB)
	ca := certtest.New(t)
	cert, key := ca.Issue("server")
	s, err := mysqltest.Start(t.Context(), mysqltest.Options{Fast: true, Config: map[string]string{"ssl-ca": ca.File, "ssl-cert": cert, "ssl-key": key}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	mustExec(t, s.DB(), "SET GLOBAL proxy_protocol_networks='127.0.0.1'",
		"CREATE USER o1@'192.0.2.7' IDENTIFIED BY 'one'", "CREATE USER o1@'2001:db8::7' IDENTIFIED BY 'one'")
	modes := []backend.TLSMode{backend.TLSDisabled, backend.TLSRequired}
	for _, tls := range modes {
		for _, v := range []proxyproto.Version{proxyproto.V1, proxyproto.V2} {
			for from, host := range map[string]string{"192.0.2.7:4711": "192.0.2.7:4711", "[2001:db8::7]:4711": "2001:db8::7:4711"} {
				conn, err := loginFrom(t, s.Addr(), from, tls, v)
				if err != nil {
					t.Errorf("%s, %s, %s: %v", tls, v, from, err)
					continue
				}
				var got string
				if err := s.DB().QueryRow("SELECT HOST FROM information_schema.PROCESSLIST WHERE ID = ?", conn.ID).Scan(&got); err != nil || got != host || conn.Secure != (tls == backend.TLSRequired) {
					t.Errorf("%s, %s: the server sees %q, want %s (%v)", tls, v, got, host, err)
				}
			}
			// No account at all is for that host. The refusal is the server's own, so that clients see it.
			refusal := (*wire.ServerError)(nil)
			if _, err := loginFrom(t, s.Addr(), "192.0.2.8:1", tls, v); !errors.As(err, &refusal) || refusal.Code != 1130 || !strings.Contains(refusal.Message, "192.0.2.8") {
				t.Errorf("%s, %s: from a host without account: %v", tls, v, err)
			}
		}
	}
	mustExec(t, s.DB(), "SET GLOBAL proxy_protocol_networks=''", "CREATE USER o1@'%' IDENTIFIED BY 'one'")
	for _, tls := range modes {
		_, err := loginFrom(t, s.Addr(), "192.0.2.7:1", tls, proxyproto.V2)
		if err == nil || !strings.Contains(err.Error(), "proxy_protocol_networks") || errors.As(err, new(*wire.ServerError)) {
			t.Errorf("%s, from a host that may not tell: %v", tls, err)
		}
	}
}

func TestOriginForMySQL(t *testing.T) {
	if _, err := loginFrom(t, mySQL(t).addr, "192.0.2.7:1", backend.TLSDisabled, proxyproto.V1); !errors.Is(err, backend.ErrNoProxyProtocol) {
		t.Error(err)
	}
}
