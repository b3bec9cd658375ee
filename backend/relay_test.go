package backend_test

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/wire"
)

// A client that leaves in the middle of a relayed exchange ends it at once, on both sides.
func TestClientLeavesDuringRelay(t *testing.T) {
	root := mariaDB(t)
	_, _ = root.db.Exec("INSTALL SONAME 'auth_ed25519'")
	mustExec(t, root.db, "CREATE OR REPLACE USER leaver@'%' IDENTIFIED VIA ed25519 USING PASSWORD('x')")
	f := newFrontend(t, root.addr, frontendOptions{control: root.db})
	conn, err := net.Dial("tcp", f.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	client := wire.NewPacketConn(conn)
	if _, err := client.ReadPacket(); err != nil {
		t.Fatal(err)
	}
	caps := wire.ClientProtocol41 | wire.ClientSecureConnection | wire.ClientPluginAuth
	response := wire.HandshakeResponse{Capabilities: caps, User: "leaver", Auth: make([]byte, 20), Plugin: auth.PluginNative}
	if err := client.WritePacket(response.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	payload, err := client.ReadPacket()
	if err != nil {
		t.Fatal(err)
	}
	if request, err := wire.ParseAuthSwitch(payload); err != nil || request.Plugin != auth.PluginEd25519 {
		t.Fatalf("got %+v, %v", request, err)
	}
	_ = conn.Close()
	start := time.Now()
	for f.count() == 0 {
		if time.Since(start) > 3*time.Second {
			t.Fatal("the login does not end")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if l := f.last(); l.err == nil || l.server != nil || errors.Is(l.err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %+v", l)
	}
}

// Where the client speaks TLS and the server does not, a relayed exchange ends before the client sends its password.
func TestRelayKeepsPasswordsOffPlainConnections(t *testing.T) {
	root := mySQL(t)
	mustExec(t, root.db, "DROP USER IF EXISTS shy@'%'", "CREATE USER shy@'%' IDENTIFIED BY 'one'")
	f := newFrontend(t, root.addr, frontendOptions{tls: true, backend: backend.Config{TLS: backend.TLSDisabled}}) // nobody reads the table
	conn, err := net.Dial("tcp", f.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	client := wire.NewPacketConn(conn)
	if _, err := client.ReadPacket(); err != nil {
		t.Fatal(err)
	}
	caps := wire.ClientProtocol41 | wire.ClientSecureConnection | wire.ClientPluginAuth | wire.ClientSSL
	response := wire.HandshakeResponse{Capabilities: caps, User: "shy", Auth: make([]byte, 20), Plugin: auth.PluginNative}
	if err := client.WritePacket(wire.AppendSSLRequest(nil, response)); err != nil {
		t.Fatal(err)
	}
	if err := client.UpgradeClient(t.Context(), &tls.Config{InsecureSkipVerify: true}); err != nil { //nolint:gosec // a test
		t.Fatal(err)
	}
	if err := client.WritePacket(response.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	payload, err := client.ReadPacket()
	if err != nil {
		t.Fatal(err)
	}
	if request, err := wire.ParseAuthSwitch(payload); err != nil || request.Plugin != auth.PluginSHA2 {
		t.Fatalf("got %+v, %v", request, err)
	}
	if err := client.WritePacket(make([]byte, 32)); err != nil { // any scramble: the server has none to compare with
		t.Fatal(err)
	}
	if payload, err = client.ReadPacket(); err != nil {
		t.Fatal(err)
	}
	refused, err := wire.ParseErr(payload)
	if err != nil {
		t.Fatalf("got %q, %v", payload, err)
	}
	if refused.Code != 1045 || !strings.Contains(refused.Message, "server_tls.mode") {
		t.Errorf("got %v", refused)
	}
}
