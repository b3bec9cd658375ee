package integration

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// TestRecordLogins records what clients and servers say when they meet, for internal/wire (testdata/logins), where ONEWRITER_RECORD names a
// directory.
func TestRecordLogins(t *testing.T) {
	dir := os.Getenv("ONEWRITER_RECORD")
	if dir == "" {
		t.Skip("ONEWRITER_RECORD names no directory")
	}
	for _, f := range bothFlavors {
		s, err := mysqltest.Start(t.Context(), mysqltest.Options{Flavor: f, Fast: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		for _, q := range mysqltest.Accounts(f) {
			mustExec(t, s.DB(), q)
		}
		for _, client := range []struct {
			flavor mysqltest.Flavor
			args   []string
		}{
			{mysqltest.MySQL, []string{"--ssl-mode=DISABLED", "--get-server-public-key"}},
			{mysqltest.MariaDB, []string{"--skip-ssl"}},
		} {
			if client.flavor == mysqltest.MySQL && f == mysqltest.MariaDB { // whose accounts have a plugin that it has not
				continue
			}
			program, err := mysqltest.Client(client.flavor)
			if err != nil {
				t.Fatal(err)
			}
			tee := newTee(t, s.Addr())
			host, port, _ := net.SplitHostPort(tee.listener.Addr().String())
			args := append(append(program, client.args...), "-h", host, "-P", port, "-u", mysqltest.AppUser)
			for _, try := range []struct{ name, password, schema string }{
				{"first", mysqltest.AppPassword, ""}, {"again", mysqltest.AppPassword, "app"}, {"refused", "wrong", "app"}, {"no schema", mysqltest.AppPassword, "nowhere"},
			} {
				tee.begin(try.name)
				run := append(args[1:len(args):len(args)], "-p"+try.password, "-e", "SELECT 1", try.schema)
				if out, err := exec.Command(args[0], run...).CombinedOutput(); (err == nil) != (try.name == "first" || try.name == "again") {
					t.Errorf("%v's client at %v, %s: %v: %s", client.flavor, f, try.name, err, out)
				}
			}
			if err := os.WriteFile(filepath.Join(dir, f.String()+"-"+client.flavor.String()+".txt"), tee.text(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// tee passes connections on and writes down what is said.
type tee struct {
	listener net.Listener
	wg       sync.WaitGroup

	mu   sync.Mutex
	log  bytes.Buffer // guarded by mu
	said bool         // guarded by mu; the last piece was the client's
	n    int          // guarded by mu; exchanges since begin
}

func newTee(t *testing.T, addr string) *tee {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &tee{listener: l}
	x.wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.DialTimeout("tcp", addr, 5*time.Second)
			if err != nil {
				_ = client.Close()
				continue
			}
			x.wg.Go(func() { x.pass(client, server, true) })
			x.wg.Go(func() { x.pass(server, client, false) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); x.wg.Wait() })
	return x
}

func (x *tee) begin(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	fmt.Fprintf(&x.log, "\ncase %s", name)
	x.said, x.n = false, 0
}

func (x *tee) pass(from, to net.Conn, client bool) {
	defer func() { _ = from.Close(); _ = to.Close() }()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		x.note(b[:n], client)
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// note writes down a piece; only the first exchanges are the login.
func (x *tee) note(b []byte, client bool) {
	const most = 6
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.n > most:
		return
	case client == x.said && x.n > 0:
	case client:
		x.n++
		x.log.WriteString("\n> ")
	default:
		if x.n == 0 { // the server speaks first
			x.n++
			x.log.WriteString("\n> ")
		}
		x.log.WriteString("\n< ")
	}
	x.said = client
	fmt.Fprintf(&x.log, "%x", b)
}

func (x *tee) text() []byte {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append(bytes.TrimSpace(x.log.Bytes()), '\n')
}
