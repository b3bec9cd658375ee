package backend_test

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

// outerAddress is an address of this machine that servers keep a host cache entry for: they keep none for loopback.
func outerAddress(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback")
	return ""
}

// TestConnectErrorsAreNotFed does what would make a server with max_connect_errors refuse everybody who comes from this
// host: clients that leave before their login, and in the middle of it.
func TestConnectErrorsAreNotFed(t *testing.T) {
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			host := outerAddress(t)
			s := startResolving(t, f)
			db := openSocket(t, s)
			addr := net.JoinHostPort(host, strconv.Itoa(s.Port))
			before := aborted(t, db) // the start of the server counts too
			drop(t, addr)
			eventually(t, "a connection that is just dropped counts", func() bool { return aborted(t, db) == before+1 })

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			dialer := backend.New(backend.Config{TLS: backend.TLSPreferred, Leave: &backend.LoginParams{User: "u1", Secret: auth.NewPassword([]byte("one")), Charset: 45}})
			ran := make(chan error, 1)
			go func() { ran <- dialer.Run(ctx) }()
			var list []*backend.Greeted
			for range 20 { // more than are kept
				g, err := dialer.Greet(ctx, addr)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, g)
			}
			for _, g := range list {
				g.Release()
			}
			for range 3 {
				leaveAmidRelay(ctx, t, dialer, addr)
			}
			eventually(t, "all connections are ended", func() bool { return connections(t, db) == 0 })
			// Those in the middle of a login count as wrong passwords, which block nobody.
			if n := aborted(t, db); n != before+1+3 {
				t.Errorf("%d attempts count as failed, want 3 with a wrong password", n-before-1)
			}
			if n := handshakes(t, db, host); f == mysqltest.MariaDB && n != 1 {
				t.Errorf("%d handshakes count as failed", n-1)
			}
			cancel()
			if err := <-ran; err != nil {
				t.Error(err)
			}
		})
	}
}

// startResolving starts a server that keeps count of the errors of hosts.
func startResolving(t *testing.T, f mysqltest.Flavor) *mysqltest.Server {
	t.Helper()
	mysqltest.RequireFlavor(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := mysqltest.Start(ctx, mysqltest.Options{Flavor: f, Fast: true, Config: map[string]string{
		"skip-name-resolve": "0", "bind-address": "0.0.0.0", "performance-schema": "1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	db := openSocket(t, s)
	mustExec(t, db, "CREATE USER u1@'%' IDENTIFIED BY 'one'")
	return s
}

// openSocket logs in as root by the server's socket: with names resolved 127.0.0.1 is another host than root's.
func openSocket(t *testing.T, s *mysqltest.Server) *sql.DB {
	t.Helper()
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr = "root", "unix", s.Socket()
	db, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// drop connects and leaves at once.
func drop(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.NewPacketConn(conn).ReadPacket(); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// leaveAmidRelay is a client that goes away when the server has asked it something.
func leaveAmidRelay(ctx context.Context, t *testing.T, dialer *backend.Dialer, addr string) {
	t.Helper()
	near, far := net.Pipe()
	go func() {
		_, _ = wire.NewPacketConn(far).ReadPacket()
		_ = far.Close()
	}()
	g, err := dialer.Greet(ctx, addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := g.Login(ctx, backend.LoginParams{User: "u1", Charset: 45, Client: wire.NewPacketConn(near)}); err == nil {
		t.Error("it is logged in")
	}
}

// aborted is the number of attempts to connect that have failed.
func aborted(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	var name string
	if err := db.QueryRow("SHOW GLOBAL STATUS LIKE 'Aborted_connects'").Scan(&name, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// handshakes is what counts towards max_connect_errors; MySQL keeps no entry for an address that has no name.
func handshakes(t *testing.T, db *sql.DB, host string) (n int) {
	t.Helper()
	err := db.QueryRow("SELECT COUNT_HANDSHAKE_ERRORS FROM performance_schema.host_cache WHERE IP = ?", host).Scan(&n)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.Fatal(err)
	}
	return n
}

// connections counts those that come over TCP.
func connections(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE host LIKE '%:%'").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
