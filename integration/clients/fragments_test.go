package clients

import (
	"sync"
	"testing"

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
			s := start(t, f, stand.Options{Through: link})
			front := link(s.Primary)
			for _, l := range links {
				l.Fragment(true)
			}
			want := fragmentRun(t, s.Pair.Servers[0].Addr(), "false")
			for _, tls := range []string{"false", "skip-verify"} {
				compare(t, want, fragmentRun(t, front, tls))
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
