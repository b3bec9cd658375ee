package backend_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

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
