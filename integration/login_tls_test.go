package integration

import (
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/certtest"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// hangUp makes the program look at its files.
func (l *lodge) hangUp(t *testing.T) {
	t.Helper()
	l.process.Signal(syscall.SIGHUP)
}

// dial is a connection of the application with a TLS configuration of its own.
func dial(t *testing.T, addr string, config *tls.Config) (*sql.Conn, error) {
	t.Helper()
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.TLS, c.Logger = mysqltest.AppUser, mysqltest.AppPassword, "tcp", addr, config, &mysql.NopLogger{}
	c.Timeout, c.ReadTimeout = 10*time.Second, 20*time.Second
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	return db.Conn(t.Context())
}

// leaf logs in and gives the certificate that was shown.
func (l *lodge) leaf(t *testing.T) *x509.Certificate {
	t.Helper()
	var leaf *x509.Certificate
	conn, err := dial(t, l.primary, &tls.Config{RootCAs: l.ca.Pool(), ServerName: "127.0.0.1", VerifyConnection: func(state tls.ConnectionState) error {
		leaf = state.PeerCertificates[0]
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	return leaf
}

func (l *lodge) certificates(t *testing.T) {
	out, err := exec.Command(executable, "config", "fingerprints", l.config).CombinedOutput()
	if err != nil || strings.Count(string(out), backend.FingerprintOf(l.server.Leaf).String()) != 1 || !strings.Contains(string(out), "CN=server") {
		t.Errorf("config fingerprints: %v\n%s", err, out)
	}
	first := l.leaf(t)
	session, err := dial(t, l.primary, &tls.Config{RootCAs: l.ca.Pool(), ServerName: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := l.ca.Issue("onewriter", "127.0.0.1")
	l.hangUp(t)
	var second *x509.Certificate
	l.eventually(5*time.Second, "the new certificate is shown", func() error {
		if second = l.leaf(t); second.Equal(first) {
			return errors.New("it is the old one")
		}
		return nil
	})
	if err := os.WriteFile(certFile, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.hangUp(t)
	l.eventually(5*time.Second, "the broken certificate is noticed", func() error {
		if _, body := l.get("/metrics"); !strings.Contains(body, fmt.Sprintf("onewriter_certificate_unusable{file=%q} 1", certFile+"+"+keyFile)) {
			return errors.New("no metric says so")
		}
		return nil
	})
	if !strings.Contains(l.process.Output(), "changed certificate is not usable") {
		t.Error("the log does not say so")
	}
	if now := l.leaf(t); !now.Equal(second) {
		t.Error("another certificate is shown")
	}
	l.ca.Issue("onewriter", "127.0.0.1") // the next test needs it
	l.hangUp(t)
	if _, err := whoami(t.Context(), session); err != nil {
		t.Errorf("the session that was open all the time: %v", err)
	}
	for name, config := range map[string]*tls.Config{
		"TLS 1.2 without server name": {InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12},
		"TLS 1.3":                     {InsecureSkipVerify: true, MinVersion: tls.VersionTLS13},
		"a foreign server name":       {InsecureSkipVerify: true, ServerName: "db.example"},
		"ALPN":                        {InsecureSkipVerify: true, NextProtos: []string{"mysql"}},
	} {
		if _, err := dial(t, l.primary, config); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := dial(t, l.primary, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is served")
	}
}

func (l *lodge) clientCertificates(t *testing.T) {
	other := certtest.New(t)
	with := func(a *certtest.Authority) *tls.Config {
		pair := a.Pair("client")
		return &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }}
	}
	if _, err := dial(t, l.strict, with(l.clients)); err != nil {
		t.Errorf("with a good certificate: %v", err)
	}
	if _, err := dial(t, l.strict, with(other)); err == nil {
		t.Error("a foreign certificate passes")
	}
	if _, err := dial(t, l.strict, &tls.Config{InsecureSkipVerify: true}); err == nil {
		t.Error("no certificate passes")
	}
	_, err := dial(t, l.strict, nil)
	wantCode(t, err, 3159)
	text, err := os.ReadFile(other.File)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.clients.File, text, 0o600); err != nil {
		t.Fatal(err)
	}
	l.hangUp(t)
	l.eventually(5*time.Second, "the new authority is trusted", func() error {
		_, err := dial(t, l.strict, with(other))
		return err
	})
	if _, err := dial(t, l.strict, with(l.clients)); err == nil {
		t.Error("a certificate of the authority before passes")
	}
}
