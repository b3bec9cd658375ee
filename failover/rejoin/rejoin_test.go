package rejoin

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// pairs are the kinds of circular pairs.
var pairs = mysqltest.Kinds()

// TestReturn takes one pair of each kind through everything that can be the matter with a server that comes back.
func TestReturn(t *testing.T) {
	for _, p := range pairs {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			s := startScene(t, p.Options)
			s.each(t, []sceneTest{
				{"clean after a crash", testCleanAfterCrash},
				{"clean without a crash", testCleanAlive},
				{"diverged", testDiverged},
				{"own rows only", testOwnOnly},
				{"rebuilt", testRebuilt},
				{"nothing recorded", testNothingRecorded},
				{"interrupted", testInterrupted},
			})
		})
	}
}

// The link of the crashed server starts by itself and fetches from the new primary before anybody looks.
func testCleanAfterCrash(s *scene) {
	old, d := s.leave(killed)
	s.crash(old)
	s.waitFor("the old primary's own link to fetch", func() bool { return s.rows(old) == s.rows(s.primary) })
	s.quarantine(old)
	s.write(s.primary, 2)
	s.judge(old, d, Clean)
	s.bringBack(old, d, Account{})
}

// A server that was only cut off has stayed writable, and its link has never stopped.
func testCleanAlive(s *scene) {
	old, d := s.leave(nil)
	s.quarantine(old)
	s.quarantine(old)
	s.judge(old, d, Clean)
	s.bringBack(old, d, account)
}

func testDiverged(s *scene) {
	var lost []int
	old, d := s.leave(func(old *node) {
		lost = s.write(old, 3)
		s.beat(old)
		killed(old)
	})
	s.crash(old)
	s.quarantine(old)
	j := s.judge(old, d, Diverged)
	if len(j.Errant) != 4 || j.OwnOnly {
		s.t.Errorf("%d errant transactions, only own %t: %q", len(j.Errant), j.OwnOnly, j.Reasons)
	}
	if !s.opts.FilePos || s.opts.Flavor == mysqltest.MariaDB {
		s.wantNotClean(old, d)
	}
	if got := s.has(s.primary, lost); got != 0 {
		s.t.Fatalf("%d rows of the old primary came to the new one", got)
	}
	// The operator says that its data are good: the rows are taken away by hand, the history is forgotten.
	s.takeAway(old, lost)
	s.discard(old, d)
	if got := s.has(s.primary, lost); got != 0 {
		s.t.Fatalf("%d rows of the old primary came to the new one", got)
	}
}

// wantNotClean wants both ways to be refused with nothing started.
func (s *scene) wantNotClean(old *node, d coord.Departure) {
	s.t.Helper()
	if err := Reattach(s.within(5*time.Second), old.Server, s.primary.Server, account, d); !errors.Is(err, ErrNotClean) {
		s.t.Errorf("attach: %v", err)
	}
	if err := Relink(s.within(5*time.Second), old.Server, s.primary.Server, d); !errors.Is(err, ErrNotClean) {
		s.t.Errorf("link: %v", err)
	}
	if l := s.linkOf(s.primary, old); l.Running() {
		s.t.Error("the link back runs")
	}
}

// discard brings the server back and wants the verdict to be clean from then on.
func (s *scene) discard(old *node, d coord.Departure) {
	s.t.Helper()
	if err := Discard(s.within(20*time.Second), old.Server, s.primary.Server, account, d); err != nil {
		s.t.Fatal(err)
	}
	renewed, err := Renew(s.t.Context(), old.Server, d)
	if err != nil {
		s.t.Fatal(err)
	}
	s.judge(old, renewed, Clean)
	s.relink(old, d)
}

// Nothing but our heartbeat was written on it.
func testOwnOnly(s *scene) {
	old, d := s.leave(func(old *node) { s.beat(old); s.beat(old); killed(old) })
	s.crash(old)
	s.quarantine(old)
	j := s.judge(old, d, Diverged)
	if len(j.Errant) != 2 || !j.OwnOnly {
		s.t.Errorf("%d errant transactions, only own %t: %q", len(j.Errant), j.OwnOnly, j.Reasons)
	}
	s.discard(old, d)
}

// The server was restored from a copy that is older than what it had written last, and kept its server_id.
func testRebuilt(s *scene) {
	s.write(s.primary, 2)
	s.wantEqual()
	before := s.observe(s.primary).Position
	lacking := s.write(s.primary, 3)
	old, d := s.leave(func(old *node) {
		if err := stopLinks(s.t.Context(), old.Server); err != nil { // or it has rows that its history does not know
			s.t.Fatal(err)
		}
	})
	s.quarantine(old)
	if s.opts.FilePos && s.opts.Flavor == mysqltest.MySQL {
		before = gtid.Position{}
	}
	if err := flavor.ReplaceHistory(s.t.Context(), old.root, old.Dialect, before); err != nil {
		s.t.Fatal(err)
	}
	s.judge(old, d, RebuiltWithSameID)
	if s.has(old, lacking) != 3 {
		s.t.Fatal("the test took rows away")
	}
	s.discard(old, d) // which is right: only the history was set back
}

// Without a record of the failover nothing can be said about a server without GTIDs.
func testNothingRecorded(s *scene) {
	old, d := s.leave(nil)
	s.quarantine(old)
	if s.opts.FilePos {
		forgotten := d
		forgotten.Received = ""
		s.judge(old, forgotten, Unknown)
	}
	if err := Reattach(s.within(5*time.Second), s.primary.Server, old.Server, account, d); !errors.Is(err, ErrNotClosed) {
		s.t.Errorf("a writable server was attached: %v", err)
	}
	s.bringBack(old, d, Account{})
}

// A failover to the standby was given up before it was opened, and where it stood was not found out.
func testInterrupted(s *scene) {
	s.wantEqual()
	standby := s.standby()
	d := coord.Departure{Server: standby.Instance.Name, At: time.Now(), Why: "interrupted", FilePos: s.opts.FilePos, Circular: true}
	s.quarantine(standby)
	s.write(s.primary, 2)
	s.judge(standby, d, Clean)
	s.bringBack(standby, d, Account{})
	// What the primary has not fetched is found.
	l := s.linkOf(s.primary, standby)
	if err := s.primary.Dialect.StopReplica(s.t.Context(), s.primary.DB, l.Channel, flavor.BothThreads); err != nil {
		s.t.Fatal(err)
	}
	if err := standby.Dialect.SetWritable(s.t.Context(), standby.DB); err != nil {
		s.t.Fatal(err)
	}
	lost := s.write(standby, 2)
	s.quarantine(standby)
	if j := s.judge(standby, d, Diverged); len(j.Errant) != 2 {
		s.t.Errorf("%d errant transactions", len(j.Errant))
	}
	s.takeAway(standby, lost)
	s.discard(standby, d)
}

// takeAway deletes rows without a trace in the binary log, as an administrator who repairs a server by hand.
func (s *scene) takeAway(n *node, ids []int) {
	s.t.Helper()
	conn, err := n.root.Conn(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	statements := []string{"SET SESSION sql_log_bin = 0", fmt.Sprintf("DELETE FROM app.acks WHERE id BETWEEN %d AND %d", ids[0], ids[len(ids)-1]), "SET SESSION sql_log_bin = 1"}
	if s.opts.Flavor == mysqltest.MySQL {
		statements = append([]string{"SET GLOBAL super_read_only = 0"}, append(statements, "SET GLOBAL super_read_only = 1")...)
	}
	for _, q := range statements {
		if _, err := conn.ExecContext(context.Background(), q); err != nil {
			s.t.Fatalf("%s: %v", q, err)
		}
	}
}
