package rejoin

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/failover/fence"
	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/topology"
)

var limits = fence.Limits{Grace: 50 * time.Millisecond, Kill: 20 * time.Millisecond, Budget: 2 * time.Second, Settle: 2 * time.Second}

var account = Account{User: mysqltest.ReplicationUser, Password: mysqltest.ReplicationPassword}

func TestMain(m *testing.M) {
	steady = 300 * time.Millisecond
	os.Exit(m.Run())
}

// scene is a running pair; each test finds it healthy, whichever server is the primary, and leaves it so.
type scene struct {
	t       *testing.T
	opts    mysqltest.PairOptions
	a, b    *node
	primary *node // who is written to
	next    int   // number of the next row
}

// node is one of its servers.
type node struct {
	Server
	proc *mysqltest.Server
	root *sql.DB
}

// startScene starts a pair for the time of t.
func startScene(t *testing.T, o mysqltest.PairOptions) *scene {
	t.Helper()
	mysqltest.RequireFlavor(t, o.Flavor)
	o.Fast = true // ends of processes lose nothing that the kernel has
	p, err := mysqltest.StartPair(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &scene{t: t, opts: o}
	s.a, s.b = newNode(t, "a", p.Servers[0]), newNode(t, "b", p.Servers[1])
	s.primary = s.a
	for _, q := range append(flavor.SchemaSQL(), "CREATE TABLE app.acks (id INT PRIMARY KEY, who VARCHAR(20))") {
		s.exec(s.a, q)
	}
	s.waitFor("the table on the standby", func() bool {
		_, err := s.b.root.ExecContext(t.Context(), "SELECT 1 FROM app.acks")
		return err == nil
	})
	return s
}

// sceneTest is one test of several on the same pair.
type sceneTest struct {
	name string
	test func(*scene)
}

// each runs the tests one after the other.
func (s *scene) each(t *testing.T, tests []sceneTest) {
	t.Helper()
	for _, c := range tests {
		ok := t.Run(c.name, func(t *testing.T) {
			s.t = t
			c.test(s)
		})
		if s.t = t; !ok {
			t.FailNow()
		}
	}
}

func newNode(t *testing.T, name string, p *mysqltest.Server) *node {
	t.Helper()
	db, err := flavor.Open(p.Addr(), flavor.Login{User: mysqltest.ControlUser, Password: mysqltest.ControlPassword})
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(2)
	t.Cleanup(func() { _ = db.Close() }) // servers end under its connections
	d, err := flavor.Detect(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return &node{proc: p, root: p.DB(), Server: Server{
		Instance: topology.Instance{Name: name, Address: p.Addr()}, DB: db, Dialect: d, ControlUser: mysqltest.ControlUser,
		Binlog: binlog.Source{
			Address: p.Addr(), User: mysqltest.ControlUser, Password: mysqltest.ControlPassword, Flavor: d.Name(), ServerID: 99000 + p.ServerID,
		},
	}}
}

func (s *scene) standby() *node {
	if s.primary == s.a {
		return s.b
	}
	return s.a
}

// within bounds one call of what is tested.
func (s *scene) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(s.t.Context(), d)
	s.t.Cleanup(cancel)
	return ctx
}

func (s *scene) exec(n *node, query string, args ...any) {
	s.t.Helper()
	if _, err := n.root.ExecContext(s.t.Context(), query, args...); err != nil {
		s.t.Fatalf("%s on %s: %v", query, n.Instance.Name, err)
	}
}

// write adds rows on n and gives their numbers.
func (s *scene) write(n *node, rows int) (ids []int) {
	s.t.Helper()
	for range rows {
		s.next++
		s.exec(n, "INSERT INTO app.acks VALUES (?, ?)", s.next, n.Instance.Name)
		ids = append(ids, s.next)
	}
	return ids
}

// beat writes the heartbeat row of n.
func (s *scene) beat(n *node) {
	s.t.Helper()
	s.exec(n, "REPLACE INTO onewriter.heartbeat VALUES (@@server_id, UTC_TIMESTAMP(6), 'test', ?)", time.Now().UnixMicro())
}

func (s *scene) observe(n *node) topology.Facts {
	s.t.Helper()
	f, err := n.observe(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

// leave moves the primary role to the standby without the primary: what only runs on the primary afterwards is lost. It
// gives the server that was left and what is recorded of that.
func (s *scene) leave(only func(old *node)) (*node, coord.Departure) {
	s.t.Helper()
	s.wantEqual()
	old, candidate := s.primary, s.standby()
	link := s.linkOf(candidate, old)
	if err := candidate.Dialect.StopReplica(s.t.Context(), candidate.DB, link.Channel, flavor.ReceiverThread); err != nil {
		s.t.Fatal(err)
	}
	s.waitFor("the applier to drain", func() bool { return drained(s.linkOf(candidate, old)) })
	if err := candidate.Dialect.StopReplica(s.t.Context(), candidate.DB, link.Channel, flavor.BothThreads); err != nil {
		s.t.Fatal(err)
	}
	seen := s.observe(old)
	if only != nil {
		only(old)
	}
	return s.take(candidate, link, seen)
}

// take makes the candidate the primary as it is.
func (s *scene) take(candidate *node, link topology.Link, seen topology.Facts) (*node, coord.Departure) {
	s.t.Helper()
	old := s.primary
	if err := candidate.Dialect.StopReplica(s.t.Context(), candidate.DB, link.Channel, flavor.BothThreads); err != nil {
		s.t.Fatal(err)
	}
	at, err := candidate.Dialect.BinlogPosition(s.t.Context(), candidate.DB)
	if err != nil {
		s.t.Fatal(err)
	}
	d := coord.Departure{
		Server: old.Instance.Name, At: time.Now(), Why: "failover", Seen: seen.Position.String(), UUID: seen.ServerUUID,
		Received: s.linkOf(candidate, old).AppliedFile.String(), Binlog: at.String(),
		FilePos: s.opts.FilePos, Circular: !s.opts.Star, SemiSync: s.opts.SemiSync,
	}
	if s.opts.SemiSync {
		if err := candidate.Dialect.SetSemiSyncSource(s.t.Context(), candidate.DB, false); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := candidate.Dialect.SetWritable(s.t.Context(), candidate.DB); err != nil {
		s.t.Fatal(err)
	}
	s.primary = candidate
	s.write(candidate, 3)
	return old, d
}

// killed ends a server before the new primary has rows for it: without GTID, MariaDB writes its place down after the commit, and one
// that is killed in between applies a transaction twice when it is back (error 1062).
func killed(old *node) { old.proc.Kill9() }

// crash ends a server and starts it again; its links start by themselves.
func (s *scene) crash(n *node) {
	s.t.Helper()
	n.proc.Kill9()
	if err := n.proc.Restart(s.within(time.Minute), nil); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) quarantine(n *node) {
	s.t.Helper()
	if err := Quarantine(s.within(20*time.Second), n.Server, limits); err != nil {
		s.t.Fatal(err)
	}
	f := s.observe(n)
	if f.Writable() {
		s.t.Fatalf("%s is writable in quarantine", n.Instance.Name)
	}
	for _, l := range f.Links {
		if l.IO != topology.ThreadNo || l.SQL != topology.ThreadNo {
			s.t.Fatalf("a link of %s runs in quarantine: receiver %s, applier %s", n.Instance.Name, l.IO, l.SQL)
		}
	}
}

// judge wants the verdict.
func (s *scene) judge(old *node, d coord.Departure, want Verdict) Judgement {
	s.t.Helper()
	j, err := Judge(s.within(20*time.Second), old.Server, s.primary.Server, d)
	if err != nil {
		s.t.Fatal(err)
	}
	if j.Verdict != want {
		s.t.Fatalf("verdict %s, want %s: %q (%s against %s)", j.Verdict, want, j.Reasons, j.Position, j.Primary)
	}
	if want != Clean && len(j.Reasons) == 0 {
		s.t.Fatal("a verdict without reasons")
	}
	return j
}

// bringBack attaches and links a clean server and wants a healthy pair.
func (s *scene) bringBack(old *node, d coord.Departure, acc Account) {
	s.t.Helper()
	if err := Reattach(s.within(20*time.Second), old.Server, s.primary.Server, acc, d); err != nil {
		s.t.Fatal(err)
	}
	s.relink(old, d)
}

func (s *scene) relink(old *node, d coord.Departure) {
	s.t.Helper()
	if err := Relink(s.within(20*time.Second), old.Server, s.primary.Server, d); err != nil {
		s.t.Fatal(err)
	}
	s.write(s.primary, 3)
	s.wantEqual()
	l, there := linkTo(s.observe(s.primary).Links, old.Server, old.proc.ServerID)
	if d.Circular != there || d.Circular && !l.Running() {
		s.t.Fatalf("the link back is there: %t, receiver %s, applier %s: %s%s", there, l.IO, l.SQL, l.IOError, l.SQLError)
	}
}

func (s *scene) linkOf(n, source *node) topology.Link {
	s.t.Helper()
	l, ok := linkTo(s.observe(n).Links, source.Server, source.proc.ServerID)
	if !ok {
		s.t.Fatalf("%s has no link to %s", n.Instance.Name, source.Instance.Name)
	}
	return l
}

// wantEqual waits until the standby has the rows of the primary.
func (s *scene) wantEqual() {
	s.t.Helper()
	// What a client has given up may still be committed: the primary is asked again.
	s.waitFor("the standby to have the primary's rows", func() bool { return s.rows(s.standby()) == s.rows(s.primary) })
}

// rows is a summary of the table.
func (s *scene) rows(n *node) string {
	s.t.Helper()
	var text sql.NullString
	err := n.root.QueryRowContext(s.t.Context(), "SELECT CONCAT(COUNT(*), ':', SUM(CRC32(CONCAT(id, who)))) FROM app.acks").Scan(&text)
	if err != nil {
		s.t.Fatal(err)
	}
	return text.String
}

// has counts which of the rows are there.
func (s *scene) has(n *node, ids []int) (found int) {
	s.t.Helper()
	for _, id := range ids {
		var one int
		err := n.root.QueryRowContext(s.t.Context(), "SELECT 1 FROM app.acks WHERE id = ?", id).Scan(&one)
		if err == nil {
			found++
		} else if !errors.Is(err, sql.ErrNoRows) {
			s.t.Fatal(err)
		}
	}
	return found
}

func (s *scene) waitFor(what string, done func() bool) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); {
		if time.Now().After(end) {
			s.t.Fatalf("waited in vain for %s; links: %+v", what, s.observe(s.standby()).Links)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// drained reports whether the link has applied everything it received, by the places in the source's log.
func drained(l topology.Link) bool {
	return !l.ReceivedFile.Known() || l.AppliedFile.Contains(l.ReceivedFile) || flavor.ReadAll(l.ApplierState) ||
		l.Received.Kind() == gtid.KindMariaDB && l.Applied.Contains(l.Received)
}
