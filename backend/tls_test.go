package backend_test

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/certtest"
	"github.com/onewriter/onewriter/internal/wire"
)

func TestTLSModes(t *testing.T) {
	root := mySQL(t)
	mustExec(t, root.db, "DROP USER IF EXISTS t1@'%'", "CREATE USER t1@'%' IDENTIFIED BY 'one'")
	ca, other := certtest.New(t), certtest.New(t)
	named, nameless := ca.Pair("named", "127.0.0.1"), ca.Pair("nameless")
	withTLS := func(cert *tls.Certificate) *frontend {
		return newFrontend(t, root.addr, frontendOptions{control: root.db, config: auth.ServerTLS(func() *tls.Certificate { return cert })})
	}
	secure, anonymous := withTLS(&named), withTLS(&nameless)
	plain := newFrontend(t, root.addr, frontendOptions{control: root.db})
	print, wrong := backend.FingerprintOf(named.Leaf), backend.FingerprintOf(nameless.Leaf)
	for _, c := range []struct {
		mode   backend.TLSMode
		roots  *certtest.Authority
		prints []backend.Fingerprint
		at     *frontend
		secure bool
		fails  string
	}{
		{mode: backend.TLSPreferred, at: secure, secure: true},
		{mode: backend.TLSPreferred, at: plain},
		{mode: backend.TLSPreferred, roots: ca, at: secure, secure: true},
		{mode: backend.TLSPreferred, roots: other, at: secure, fails: "not trusted"},
		{mode: backend.TLSDisabled, at: secure},
		{mode: backend.TLSRequired, at: secure, secure: true},
		{mode: backend.TLSRequired, at: plain, fails: "does not offer TLS"},
		{mode: backend.TLSVerifyCA, roots: ca, at: anonymous, secure: true},
		{mode: backend.TLSVerifyCA, at: secure, fails: "server_tls.ca_file"},
		{mode: backend.TLSVerifyCA, roots: ca, at: plain, fails: "does not offer TLS"},
		{mode: backend.TLSVerifyFull, roots: ca, at: anonymous, fails: "not trusted"},
		{mode: backend.TLSVerifyFull, roots: ca, at: secure, secure: true},
		// This machine is exempt, unless there is something to verify with.
		{mode: backend.TLSVerify, at: secure, secure: true},
		{mode: backend.TLSVerify, at: plain},
		{mode: backend.TLSVerify, roots: ca, at: anonymous, secure: true},
		{mode: backend.TLSVerify, roots: ca, at: plain, fails: "does not offer TLS"},
		{mode: backend.TLSVerify, roots: other, at: secure, fails: "not trusted"},
		{mode: backend.TLSVerify, prints: []backend.Fingerprint{print}, at: secure, secure: true},
		{mode: backend.TLSVerify, prints: []backend.Fingerprint{wrong}, at: secure, fails: print.String()},
		{mode: backend.TLSVerify, prints: []backend.Fingerprint{wrong, print}, roots: other, at: secure, secure: true},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		config := backend.Config{TLS: c.mode, Fingerprints: c.prints}
		if c.roots != nil {
			config.Roots = c.roots.Pool
		}
		g, err := backend.New(config).Greet(ctx, c.at.addr())
		if err != nil {
			t.Fatal(err)
		}
		conn, _, err := g.Login(ctx, backend.LoginParams{
			User: "t1", Secret: auth.NewPassword([]byte("one")), Charset: 45, Capabilities: wire.ClientProtocol41,
		})
		if (err != nil) != (c.fails != "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%v, roots %v, fingerprints %v, TLS offered %v: got %v", c.mode, c.roots != nil, len(c.prints), c.at.tls != nil, err)
		}
		if err == nil {
			if conn.Secure != c.secure {
				t.Errorf("%v, TLS offered %v: TLS is %v", c.mode, c.at.tls != nil, conn.Secure)
			}
			_ = conn.Close()
		}
		if c.fails != "" && c.at == plain && !errors.Is(err, backend.ErrNoTLS) {
			t.Errorf("%v: got %v", c.mode, err)
		}
	}
}

func TestElsewhereIsNotExempt(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:3306": false, "127.8.8.8:3306": false, "[::1]:3306": false, "localhost:3306": false, "[::ffff:127.0.0.1]:3306": false,
		"10.0.0.1:3306": true, "localhost.example:3306": true, "db:3306": true, "[fe80::1]:3306": true,
	} {
		if got := (backend.Config{}).DemandsTLS(addr); got != want {
			t.Errorf("%s: demands TLS is %v", addr, got)
		}
		if config := (backend.Config{}).ClientTLS(addr); (config.VerifyConnection != nil) != want {
			t.Errorf("%s: verifies is %v", addr, config.VerifyConnection != nil)
		}
	}
}

func TestFingerprints(t *testing.T) {
	f := backend.FingerprintOf(certtest.New(t).Pair("one").Leaf)
	for _, text := range []string{f.String(), strings.ToLower(f.String()), strings.ReplaceAll(f.String(), ":", "")} {
		if got, err := backend.ParseFingerprint(text); err != nil || got != f {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "AB:CD", f.String() + ":00", "x" + f.String()[1:]} {
		if _, err := backend.ParseFingerprint(text); err == nil {
			t.Errorf("%q passed", text)
		}
	}
}
