package integration

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"database/sql/driver"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func (l *lodge) limits(t *testing.T) {
	server := l.pair.Servers[0]
	db := server.DB()
	mustExec(t, db, "CREATE USER e1@'%' IDENTIFIED BY '"+marked+"e1' "+"WITH MAX_USER_CONNECTIONS 1")
	mustExec(t, db, "CREATE USER e2@'%' IDENTIFIED BY '"+marked+"e2' "+"WITH MAX_CONNECTIONS_PER_HOUR 1")
	mustExec(t, db, "CREATE USER e3@'%' IDENTIFIED BY '"+marked+"e3'")
	for name, addr := range map[string]string{"directly": server.Addr(), "proxied": l.primary} {
		one := account{user: "e1", password: marked + "e1"}
		first, err := one.pool(t, addr).Conn(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = whoami(t.Context(), one.pool(t, addr))
		wantCode(t, err, 1226)
		_ = first.Raw(func(any) error { return driver.ErrBadConn }) // closes it
		mustExec(t, db, "FLUSH USER_RESOURCES")
		hourly := account{user: "e2", password: marked + "e2"}
		if _, err := whoami(t.Context(), hourly.pool(t, addr)); err != nil {
			t.Errorf("%s: the first of an hour: %v", name, err)
		}
		// MariaDB takes the time of a connection when its thread begins: of two that are opened at the same moment the older one may
		// come second, and then it counts anew.
		for range 2 {
			if _, err = whoami(t.Context(), hourly.pool(t, addr)); err != nil {
				break
			}
		}
		wantCode(t, err, 1226)
	}
}

// fullServer compares what clients are told when the server has no room.
func (l *lodge) fullServer(t *testing.T) {
	server := l.pair.Servers[0]
	mustExec(t, server.DB(), "CREATE USER e4@'%' IDENTIFIED BY '"+marked+"e4'")
	one := account{user: "e4", password: marked + "e4"}
	for range 12 { // MariaDB has room for ten at least
		if _, err := one.pool(t, server.Addr()).Conn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	root, err := server.DB().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	limit := func(n string) {
		t.Helper()
		if _, err := root.ExecContext(t.Context(), "SET GLOBAL max_connections="+n); err != nil {
			t.Fatal(err)
		}
	}
	limit("10")
	defer limit("500")
	_, want := whoami(t.Context(), one.pool(t, server.Addr()))
	wantCode(t, want, 1040)
	_, err = whoami(t.Context(), one.pool(t, l.primary))
	wantCode(t, err, 1040) // with an SQLSTATE when the client was greeted by then
	if !strings.HasSuffix(fmt.Sprint(err), "Too many connections") {
		t.Errorf("proxied: %v, directly: %v", err, want)
	}
}

// coldCaches is caching_sha2_password without TLS and without leave to fetch a key: it works once somebody has told the
// password, as at a server.
func (l *lodge) coldCaches(t *testing.T) {
	mustExec(t, l.pair.Servers[0].DB(), "CREATE USER f2@'%' IDENTIFIED BY '"+marked+"f2'")
	mustExec(t, l.pair.Servers[0].DB(), "GRANT SELECT ON app.* TO f2@'%'")
	for _, addr := range []string{l.primary, l.pair.Servers[0].Addr()} { // the server gets the password over TLS first
		args := cli(t, l.flavor, addr, "-uf2", "-p"+marked+"f2", "--ssl-mode=DISABLED", "--server-public-key-path="+l.publicKey, "-e", "SELECT 1")
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Errorf("with the server's key from a file, at %s: %s", addr, out)
		}
	}
	mustExec(t, l.pair.Servers[0].DB(), "CREATE USER f1@'%' IDENTIFIED BY '"+marked+"f1'")
	mustExec(t, l.pair.Servers[0].DB(), "GRANT SELECT ON app.* TO f1@'%'")
	for _, addr := range []string{l.pair.Servers[0].Addr(), l.primary} {
		args := cli(t, l.flavor, addr, "-uf1", "-p"+marked+"f1", "--ssl-mode=DISABLED", "-e", "SELECT 1")
		try := func() string {
			out, _ := exec.Command(args[0], args[1:]...).CombinedOutput()
			return string(out)
		}
		if out := try(); !strings.Contains(out, "ERROR 2061") {
			t.Errorf("at %s, cold: %s", addr, out)
		}
		if _, err := whoami(t.Context(), account{user: "f1", password: marked + "f1"}.pool(t, addr)); err != nil {
			t.Fatal(err)
		}
		if out := try(); strings.Contains(out, "ERROR") {
			t.Errorf("at %s, warm: %s", addr, out)
		}
	}
	mustExec(t, l.pair.Servers[0].DB(), "FLUSH PRIVILEGES") // the server forgets, the proxy does not
	if _, p := l.rawLogin(t, "f1", marked+"f1", 0); p[0] != 0 {
		t.Errorf("at a server that has forgotten it: %q", p)
	}
}

// rsaKey makes files with a private RSA key and its public half, as servers keep theirs.
func rsaKey(t *testing.T) (private, public string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	private, public = filepath.Join(dir, "private_key.pem"), filepath.Join(dir, "public_key.pem")
	for file, block := range map[string]*pem.Block{
		private: {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}, public: {Type: "PUBLIC KEY", Bytes: der},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return private, public
}
