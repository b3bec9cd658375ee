package chaos

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/internal/faultnet"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// setup is one kind of cluster.
type setup struct {
	name  string
	opts  mysqltest.PairOptions
	extra string // of the configuration
	long  bool   // not in the short set
}

// proxyEnd is the number of the proxy among the ends of links; the servers have theirs.
const proxyEnd = -1

// rig is a cluster with a link for each direction in which somebody connects, the program, clients and observers.
type rig struct {
	t     *testing.T
	setup setup
	pair  *mysqltest.Pair
	prog  *program
	began time.Time
	slow  atomic.Bool // the clients take long rests

	linksMu sync.Mutex
	links   map[[2]int]*faultnet.Link // from, to

	mu      sync.Mutex // guards the block below
	history History
	hidden  map[int]bool // servers that the observers must leave alone
	away    map[string]*awayRecord
}

// newRig starts a pair behind links, and the program in front of it.
func newRig(t *testing.T, s setup) *rig {
	t.Helper()
	mysqltest.RequireFlavor(t, s.opts.Flavor)
	r := &rig{t: t, setup: s, links: map[[2]int]*faultnet.Link{}, hidden: map[int]bool{}, away: map[string]*awayRecord{}}
	s.opts.StartReadOnly, s.opts.Route = true, r.route
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var err error
	if r.pair, err = mysqltest.StartPair(ctx, s.opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.pair.Close()
		for _, l := range r.links {
			l.Close()
		}
	})
	addrs := make([]string, len(r.pair.Servers))
	for i, server := range r.pair.Servers {
		addrs[i] = r.route(proxyEnd, i, server.Addr())
	}
	for i, server := range r.pair.Servers { // for links that are made later
		for j := range r.pair.Servers {
			if i != j {
				r.route(j, i, server.Addr())
			}
		}
	}
	r.prog = newProgram(t, addrs, s.extra)
	r.began = time.Now()
	r.prog.start()
	r.whole(30 * time.Second)
	return r
}

// route makes the link from one end to another.
func (r *rig) route(from, to int, addr string) string {
	r.linksMu.Lock()
	defer r.linksMu.Unlock()
	if l := r.links[[2]int{from, to}]; l != nil {
		return l.Addr()
	}
	l, err := faultnet.Listen(addr)
	if err != nil {
		r.t.Error(err)
		return addr
	}
	r.links[[2]int{from, to}] = l
	return l.Addr()
}

// link is the link from one end to another.
func (r *rig) link(from, to int) *faultnet.Link {
	r.linksMu.Lock()
	defer r.linksMu.Unlock()
	return r.links[[2]int{from, to}]
}

// between are the links between two servers, in both directions.
func (r *rig) between(a, b int) []*faultnet.Link {
	var out []*faultnet.Link
	for _, l := range []*faultnet.Link{r.link(a, b), r.link(b, a)} {
		if l != nil {
			out = append(out, l)
		}
	}
	return out
}

// around are the links between a server and all other servers.
func (r *rig) around(server int) []*faultnet.Link {
	var out []*faultnet.Link
	for i := range r.pair.Servers {
		if i != server {
			out = append(out, r.between(server, i)...)
		}
	}
	return out
}

// now is the time since the start of the run.
func (r *rig) now() time.Duration { return time.Since(r.began) }

// server gives the number of a server by its name.
func (r *rig) server(name string) int {
	for i := range r.pair.Servers {
		if serverName(i) == name {
			return i
		}
	}
	return -1
}

// primary is the number of the published primary, -1 when there is none.
func (r *rig) primary() int {
	st, err := r.prog.status(r.t.Context())
	if err != nil {
		return -1
	}
	return r.server(st.Primary)
}

// other is a standby.
func (r *rig) other(primary int) int { return (primary + 1) % len(r.pair.Servers) }

// patience is how long a cluster has under full load to become whole. After it the clients slow down: where the disk is
// busy a standby may follow and never get to the end.
const patience = 10 * time.Second

// slowDown slows the clients down when patience is over, until the function that it gives is called.
func (r *rig) slowDown() (end func()) {
	slow := time.AfterFunc(patience, func() { r.slow.Store(true) })
	return func() {
		slow.Stop()
		r.slow.Store(false)
	}
}

// whole waits until the cluster runs with all servers; false when it does not in time.
func (r *rig) whole(limit time.Duration) bool {
	r.t.Helper()
	deadline := time.Now().Add(limit)
	defer r.slowDown()()
	quiet := 0
	for {
		st, err := r.prog.status(r.t.Context())
		if err == nil {
			err = unwhole(st)
		}
		if quiet++; err != nil {
			quiet = 0
		}
		if quiet == 3 {
			return true
		}
		if time.Now().After(deadline) {
			r.t.Errorf("at %s: the cluster is not whole within %s: %v", r.now().Round(time.Millisecond), limit, err)
			r.logProcesses()
			return false
		}
		r.welcome(st)
		r.repair()
		time.Sleep(50 * time.Millisecond)
	}
}

// unwhole says what a cluster lacks.
func unwhole(st api.Cluster) error {
	if st.State != "running" || len(st.Away) > 0 {
		return fmt.Errorf("state %s %q, verdict %s %q, away %+v, blocked %q, operation %+v", st.State, st.Reasons, st.Verdict.Kind, st.Verdict.Evidence, st.Away, st.Blocked, st.Operation)
	}
	for _, s := range st.Servers {
		if !s.Healthy {
			return fmt.Errorf("server %s: %s %q", s.Name, s.Probe, s.Problems)
		}
		if s.Role == "unknown" {
			return fmt.Errorf("server %s has no role", s.Name)
		}
	}
	return nil
}

// exec runs statements on a server as root, on one connection.
func (r *rig) exec(server int, queries ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := r.pair.Servers[server].DB().Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for _, q := range queries {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	return nil
}

// logProcesses tells what each server is doing.
func (r *rig) logProcesses() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for i, s := range r.pair.Servers {
		err := each(ctx, s.DB(), "SELECT id, user, command, time, COALESCE(state, ''), COALESCE(info, '') FROM information_schema.processlist WHERE command <> 'Sleep'", func(rows *sql.Rows) error {
			var id, seconds int64
			var user, command, state, info string
			err := rows.Scan(&id, &user, &command, &seconds, &state, &info)
			r.t.Logf("%s: %d %s %s %ds %q %.200s", serverName(i), id, user, command, seconds, state, info)
			return err
		})
		if err != nil {
			r.t.Logf("processes of %s: %v", serverName(i), err)
		}
	}
}

// hide keeps the observers away from a server, whose queue of connections they would fill while it hangs.
func (r *rig) hide(server int, on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hidden[server] = on
}

func (r *rig) isHidden(server int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hidden[server]
}

// open opens a pool of one connection through a listener.
func (r *rig) open(addr, params string) *sql.DB {
	db, err := sql.Open("mysql", "app:app-secret@tcp("+addr+")/app?timeout=10s&readTimeout=40s&"+params)
	if err != nil {
		r.t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	r.t.Cleanup(func() { _ = db.Close() })
	return db
}

// keep writes what a person needs to find out what happened, and tells where.
func (r *rig) keep() {
	dir, err := os.MkdirTemp("", "onewriter-chaos-evidence-")
	if err != nil {
		r.t.Error(err)
		return
	}
	r.prog.dump()
	for _, name := range []string{r.prog.logFile(), r.prog.journal(), r.prog.config(), filepath.Join(r.prog.dir, "state", "test.json")} {
		if text, err := os.ReadFile(name); err == nil {
			_ = os.WriteFile(filepath.Join(dir, filepath.Base(name)), text, 0o600)
		}
	}
	for i, s := range r.pair.Servers {
		if text, err := os.ReadFile(filepath.Join(s.Dir, "log")); err == nil {
			_ = os.WriteFile(filepath.Join(dir, "server-"+serverName(i)+".log"), text, 0o600)
		}
	}
	r.mu.Lock()
	text, err := json.Marshal(&r.history)
	r.mu.Unlock()
	if err == nil {
		_ = os.WriteFile(filepath.Join(dir, "history.json"), text, 0o600)
	}
	r.t.Logf("evidence is kept in %s; the run began at %s", dir, r.began.Format(time.RFC3339Nano))
}
