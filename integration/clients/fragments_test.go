package clients

import (
	"sync"
	"testing"
	"time"

	"github.com/onewriter/onewriter/integration/clients/stand"
	"github.com/onewriter/onewriter/internal/faultnet"
)

// TestFragments runs the Go driver over links that deliver what is sent in small pieces, on both sides of the proxy.
func TestFragments(t *testing.T) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			var mu sync.Mutex
			var links []*faultnet.Link
			link := func(addr string) string {
				l, err := faultnet.Listen(addr)
				if err != nil {
					t.Error(err)
					return addr
				}
				t.Cleanup(l.Close)
				mu.Lock()
				defer mu.Unlock()
				links = append(links, l)
				return l.Addr()
			}
			s := start(t, f, stand.Options{Through: link, Cluster: patient})
			front := link(s.Primary)
			for _, l := range links {
				l.Fragment(true)
			}
			want := fragmentRun(t, s.Pair.Servers[0].Addr(), "false")
			for _, tls := range []string{"false", "skip-verify"} {
				compare(t, want, fragmentRun(t, front, tls))
			}
			want = trickleRun(t, s.Pair.Servers[0].Addr(), "false")
			for _, l := range links {
				l.Trickle(500, trickle) // a login and what comes behind it, which is all but TLS
			}
			for _, tls := range []string{"false", "skip-verify"} {
				compare(t, want, trickleRun(t, front, tls))
			}
		})
	}
}

// fragmentRun is a part of what goDriver does: without the large values, which take long in small pieces.
func fragmentRun(t *testing.T, addr, tls string) string {
	m := &goMatrix{t: t, addr: addr, tls: tls}
	for _, params := range []string{"interpolateParams=true", ""} {
		db := m.open(params + "&multiStatements=true&parseTime=true&tls=" + tls)
		db.SetMaxOpenConns(1)
		m.types(db)
		m.exec(db, "CREATE TABLE rows_ (id INT PRIMARY KEY)")
		m.procedures(db)
		m.errors(db)
		m.transactions(db)
	}
	m.say("done")
	return m.out.String()
}

// patient lets nobody give up a server whose words take long.
const patient = "    health: {interval: 1s, timeout: 30s, heartbeat: false}\n    limits: {handshake_timeout: 60s, hold_timeout: 60s}\n"

// trickle is long enough for the proxy to have read one byte when the next comes.
const trickle = 20 * time.Microsecond

// trickleRun is a login and a little of everything, for links that deliver their first bytes one by one.
func trickleRun(t *testing.T, addr, tls string) string {
	m := &goMatrix{t: t, addr: addr, tls: tls}
	db := m.open("multiStatements=true&tls=" + tls)
	db.SetMaxOpenConns(1)
	m.query(db, "SELECT ?, 'b'", "a")
	m.query(db, "SELECT 1; DO 2; SELECT 3 UNION SELECT 4")
	m.query(db, "SELECT * FROM nowhere")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	_, err = tx.Exec("SET @v='x', time_zone='+01:00'")
	m.say("set", err, tx.Commit())
	m.query(db, "SELECT @v, @@time_zone")
	m.say("done")
	return m.out.String()
}
