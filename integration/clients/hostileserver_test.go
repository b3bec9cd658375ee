package clients

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/integration/clients/stand"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

// liar relays connections to a server and spoils what the server says to the account victim. See spoilt_test.go for what
// it can do before a session begins.
type liar struct {
	listener net.Listener
	target   string
	seed     uint64
	hidden   wire.Capability // what the server seems not to know
	count    atomic.Uint64   // connections
	spoilt   atomic.Uint64
	ends     sync.Map // of the connections of the victim

	confuses atomic.Bool  // spoil what the control account is told
	confused atomic.Int64 // such answers
	greets   atomic.Bool  // spoil greetings, of anybody
	greeted  atomic.Int64 // greetings spoilt
	answered [len(badLogins)]atomic.Int64
}

// hangUp ends the victim's connections: a session whose answer is incomplete waits for the rest of it, as for any answer.
func (l *liar) hangUp() {
	l.ends.Range(func(conn, _ any) bool {
		_ = conn.(net.Conn).Close()
		return true
	})
}

const victim = "hostile"

func startLiar(t *testing.T, target string, seed uint64, hidden wire.Capability) *liar {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{listener: ln, target: target, seed: seed, hidden: hidden}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go l.relay(conn)
		}
	}()
	return l
}

func (l *liar) relay(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if !l.greet(client, server) {
		return
	}
	var armed, control atomic.Bool
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, err := client.Read(b)
			if bytes.Contains(b[:n], []byte(victim+"\x00")) {
				armed.Store(true)
				l.ends.Store(server, true)
			}
			if bytes.Contains(b[:n], []byte(mysqltest.ControlUser+"\x00")) {
				control.Store(true)
			}
			if l.misleads(client, b[:n]) {
				_ = server.Close()
				return
			}
			if _, werr := server.Write(b[:n]); err != nil || werr != nil {
				_ = server.Close()
				return
			}
		}
	}()
	r := rand.New(rand.NewPCG(l.seed, l.count.Add(1)))
	b := make([]byte, 16<<10)
	for {
		n, err := server.Read(b)
		data := b[:n]
		if armed.Load() && n > 0 && r.IntN(6) == 0 {
			data = l.spoil(r, data)
		}
		if n > 0 && control.Load() && l.confuses.Load() && r.IntN(3) == 0 {
			l.confused.Add(1)
			data = l.spoil(r, data)
		}
		if _, werr := client.Write(data); err != nil || werr != nil {
			return
		}
	}
}

// spoil is mangle with what only servers can do: unasked packets, lies about counts and never-ending packets.
func (l *liar) spoil(r *rand.Rand, b []byte) []byte {
	l.spoilt.Add(1)
	switch r.IntN(6) {
	case 0:
		return append(bytes.Clone(b), 7, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0)
	case 1:
		return append([]byte{0xff, 0xff, 0xff, byte(r.UintN(4))}, bytes.Repeat(b, 20)...)
	case 2: // session track garbage
		return []byte{12, 0, 0, 1, 0, 0, 0, 2, 0x40, 0, 0, 0, 4, byte(r.UintN(7)), byte(r.UintN(256)), byte(r.UintN(256))}
	case 3:
		b = bytes.Clone(b)
		b[min(len(b)-1, 4)] = byte(r.UintN(256)) // the count, or the kind of the first packet
		return b
	default:
		return mangle(r, b)
	}
}

// TestHostileServer lets a server say nonsense to the sessions of one account. Those may fail; no other may notice.
func TestHostileServer(t *testing.T) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			seed := fuzzSeed(t)
			var liars []*liar
			s := start(t, f, stand.Options{
				Cluster: strings.Replace(hostileLimits, "}", ", connect_timeout: 2s}", 1) + "    server_tls: {mode: off}\n",
				Through: func(addr string) string {
					hidden := wire.Capability(0)
					if len(liars) == 1 { // the standby at first
						hidden = hiddenOf(f)
					}
					l := startLiar(t, addr, seed+uint64(len(liars))<<32, hidden)
					liars = append(liars, l)
					return l.listener.Addr().String()
				},
			})
			for _, q := range []string{"CREATE USER '" + victim + "'@'%' IDENTIFIED BY 'hostile-secret'", "GRANT ALL ON app.* TO '" + victim + "'@'%'"} {
				if _, err := s.Pair.Servers[0].DB().Exec(q); err != nil {
					t.Fatal(err)
				}
			}
			t.Run("what one server hides", func(t *testing.T) { onlyWhatAllCan(t, f, s) })
			b := startBystander(t, s.Primary)
			before := usageOf(t, s)
			t.Run("greetings", func(t *testing.T) { spoiltGreetings(t, s, liars[0]) })
			var wg sync.WaitGroup
			var queries atomic.Int64
			for end, n := time.Now().Add(fuzzTime(t)), 0; n < 4; n++ {
				wg.Go(func() {
					for time.Now().Before(end) {
						queries.Add(victimSession(t, s.Primary, n%2 == 0))
					}
				})
			}
			liars[1].confuses.Store(true)
			t.Run("logins", func(t *testing.T) { spoiltLogins(t, s, liars[0]) })
			wg.Wait()
			t.Run("control account", func(t *testing.T) { confusedControl(t, s, liars[1]) })
			b.end(t)
			for _, l := range liars {
				l.hangUp()
			}
			settles(t, s, before)
			if n := liars[0].spoilt.Load(); n == 0 || queries.Load() == 0 {
				t.Errorf("%d answers were spoilt, %d queries succeeded", n, queries.Load())
			}
			t.Logf("%d answers were spoilt, %d queries succeeded nevertheless", liars[0].spoilt.Load(), queries.Load())
		})
	}
}

// victimSession is one session that ends with its first broken answer; it gives the number of queries before.
func victimSession(t *testing.T, addr string, interpolate bool) (n int64) {
	params := "multiStatements=true&tls=skip-verify&readTimeout=20s"
	if interpolate {
		params = "multiStatements=true&tls=skip-verify&readTimeout=2s&interpolateParams=true"
	}
	config, err := mysql.ParseDSN(victim + ":hostile-secret@tcp(" + addr + ")/app?" + params)
	if err != nil {
		t.Error(err)
		return 0
	}
	var mu sync.Mutex
	var conns []net.Conn
	config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			conns = append(conns, conn)
		}
		return conn, err
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Error(err)
		return 0
	}
	db := sql.OpenDB(connector)
	defer func() {
		_ = recover() // the driver does not check the definitions of columns
		_ = db.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	db.SetMaxOpenConns(1)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	for _, q := range append([]string{"SELECT ?, 'b'"}, sensible...) {
		var args []any
		if q == "SELECT ?, 'b'" {
			args = []any{1}
		}
		rows, err := db.QueryContext(ctx, q, args...)
		if err == nil {
			err = count(rows, nil)
		}
		if err == nil {
			n++
		} else if ctx.Err() != nil || err == io.EOF {
			break
		}
	}
	return n
}
