package backend_test

import (
	"context"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/wire"
)

func TestTLSModes(t *testing.T) {
	root := mySQL(t)
	mustExec(t, root.db, "DROP USER IF EXISTS t1@'%'", "CREATE USER t1@'%' IDENTIFIED BY 'one'")
	secure := newFrontend(t, root.addr, frontendOptions{control: root.db, tls: true})
	plain := newFrontend(t, root.addr, frontendOptions{control: root.db})
	leaf, err := x509.ParseCertificate(secure.tls.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	ours := x509.NewCertPool()
	ours.AddCert(leaf)
	for _, c := range []struct {
		mode   backend.TLSMode
		ca     *x509.CertPool
		at     *frontend
		secure bool
		fails  bool
	}{
		{backend.TLSPreferred, nil, secure, true, false},
		{backend.TLSPreferred, nil, plain, false, false},
		{backend.TLSPreferred, ours, secure, true, false},
		{backend.TLSPreferred, x509.NewCertPool(), secure, true, true},
		{backend.TLSDisabled, nil, secure, false, false},
		{backend.TLSRequired, nil, secure, true, false},
		{backend.TLSRequired, nil, plain, false, true},
		{backend.TLSVerifyCA, ours, secure, true, false},
		{backend.TLSVerifyCA, nil, secure, true, true},
		{backend.TLSVerifyCA, ours, plain, true, true},
		{backend.TLSVerifyFull, ours, secure, true, true}, // the certificate names no host
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		g, err := backend.New(backend.Config{TLS: c.mode, CA: c.ca}).Greet(ctx, c.at.addr())
		if err != nil {
			t.Fatal(err)
		}
		conn, _, err := g.Login(ctx, backend.LoginParams{
			User: "t1", Secret: auth.NewPassword([]byte("one")), Charset: 45, Capabilities: wire.ClientProtocol41,
		})
		if (err != nil) != c.fails {
			t.Errorf("%v, CA %v, TLS offered %v: got %v", c.mode, c.ca != nil, c.at.tls != nil, err)
		}
		if err == nil {
			if conn.Secure != c.secure {
				t.Errorf("%v, TLS offered %v: TLS is %v", c.mode, c.at.tls != nil, conn.Secure)
			}
			_ = conn.Close()
		}
		if c.fails && c.at == plain && !errors.Is(err, backend.ErrNoTLS) {
			t.Errorf("%v: got %v", c.mode, err)
		}
	}
}

func TestTLSModeNames(t *testing.T) {
	for m := backend.TLSPreferred; m <= backend.TLSVerifyFull; m++ {
		if got, err := backend.ParseTLSMode(m.String()); err != nil || got != m {
			t.Errorf("%v: got %v, %v", m, got, err)
		}
	}
	if m, err := backend.ParseTLSMode(""); err != nil || m != backend.TLSPreferred {
		t.Errorf("got %v, %v", m, err)
	}
	if _, err := backend.ParseTLSMode("yes"); err == nil {
		t.Error("no error")
	}
}
