package doctor

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/topology"
)

// logBuffer is a log that is written and read at the same time.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

// TestRun: it looks at the start and after a change of the primary, makes the self-test then, and ends with its context.
func TestRun(t *testing.T) {
	onWards(t, func(w *ward) {
		var epoch atomic.Uint64
		epoch.Store(1)
		log := &logBuffer{}
		w.d = w.doctor(func(c *Config) {
			a := c.Servers[0]
			c.Primary = func() topology.Primary { return topology.Primary{Instance: a, Epoch: topology.Epoch(epoch.Load())} }
			c.Every, c.Logger = time.Hour, zerolog.New(log)
		})
		w.d.limits.roleDelay = 0
		ctx, cancel := context.WithCancel(w.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.d.Run(ctx) }()
		w.eventually("the first look", func() bool { return !w.d.Last().At.IsZero() })
		first := w.d.Last().At
		if log.has("self-test") {
			w.Error("a self-test without a change of the primary")
		}
		epoch.Store(2)
		w.eventually("another look", func() bool { return w.d.Last().At.After(first) })
		w.eventually("the self-test", func() bool { return log.has(`"ok":true,"problems":[]`) && log.has("replication self-test") })
		cancel()
		if err := <-ended; err != nil {
			w.Error(err)
		}
	})
}

// TestReturned: what was found on a server before it was taken back blocks nothing, also when the look at it had begun
// before; what is found after does.
func TestReturned(t *testing.T) {
	d, err := New(Config{Cluster: "c", Servers: []topology.Instance{{Name: "a"}, {Name: "b"}}, Connect: noConnect})
	if err != nil {
		t.Fatal(err)
	}
	look := func(at time.Time) {
		x := &examination{d: d, at: at, servers: []*server{patient("a", nil), patient("b", nil)}, primary: "a"}
		x.find("HISTORY_DIVERGED", "b", "Something.", nil)
		d.keep(x)
	}
	wants := func(when string, n int, again bool) {
		t.Helper()
		if got := d.Blocking(); len(got) != n || d.lookAgain() != again {
			t.Errorf("%s: %q, to be looked at again %v", when, got, d.lookAgain())
		}
	}
	began := time.Now()
	look(began)
	wants("diverged", 1, false)
	d.Returned("a")
	wants("another one is back", 1, true)
	d.Returned("b")
	wants("it is back", 0, true)
	look(began)
	wants("a look that had begun before", 0, true)
	look(time.Now())
	wants("diverged again", 1, false)
}

func noConnect(topology.Instance) (*sql.DB, error) { return nil, errors.New("not in this test") }

// patient is a server that needs no connection.
func patient(name string, err error) *server {
	return &server{instance: topology.Instance{Name: name}, err: err}
}

func TestBlocksAlone(t *testing.T) {
	for name, c := range map[string]struct {
		servers []*server
		found   []string // code and server
		want    bool     // the first one blocks
	}{
		"the only standby":                  {[]*server{patient("a", nil), patient("b", nil)}, []string{"LINK_BROKEN b"}, true},
		"another standby is free":           {[]*server{patient("a", nil), patient("b", nil), patient("c", nil)}, []string{"LINK_BROKEN b"}, false},
		"the other one is ill, too":         {[]*server{patient("a", nil), patient("b", nil), patient("c", nil)}, []string{"LINK_BROKEN b", "REPLICATION_FILTER c"}, true},
		"the other one's is harmless":       {[]*server{patient("a", nil), patient("b", nil), patient("c", nil)}, []string{"LINK_BROKEN b", "LINK_TIMERS c"}, false},
		"the other one does not answer":     {[]*server{patient("a", nil), patient("b", nil), patient("c", errors.New("gone"))}, []string{"LINK_BROKEN b"}, true},
		"always, whatever others there are": {[]*server{patient("a", nil), patient("b", nil), patient("c", nil)}, []string{"EVENTS_SKIPPED b"}, true},
		"never":                             {[]*server{patient("a", nil), patient("b", nil)}, []string{"LINK_DOWN b"}, false},
	} {
		x := &examination{d: &Doctor{}, servers: c.servers, primary: "a", deep: true}
		for _, f := range c.found {
			code, server, _ := strings.Cut(f, " ")
			x.find(code, server, "Something.", nil)
		}
		code, server, _ := strings.Cut(c.found[0], " ")
		if f, ok := find(x.report(), code, server); !ok || f.Blocks != c.want {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
