package rejoin

import (
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/topology"
)

// The new primary restarts while the old one is away: its stopped link starts by itself.
func TestKeepApart(t *testing.T) {
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			s := startScene(t, mysqltest.PairOptions{Flavor: f})
			old, d := s.leave(nil)
			s.quarantine(old)
			if ran, err := KeepApart(t.Context(), old.Server, s.primary.Server); ran || err != nil {
				t.Fatalf("a link ran after the failover: %t, %v", ran, err)
			}
			s.crash(s.primary)
			s.waitFor("the link to start by itself", func() bool { return s.linkOf(s.primary, old).IO != topology.ThreadNo })
			old.proc.Pause() // one that hangs must not use up the time for the primary
			ran, err := KeepApart(s.within(5*time.Second), old.Server, s.primary.Server)
			old.proc.Continue()
			if !ran || err != nil {
				t.Fatalf("ran %t, %v", ran, err)
			}
			if l := s.linkOf(s.primary, old); anyThread([]topology.Link{l}) {
				t.Errorf("receiver %s, applier %s", l.IO, l.SQL)
			}
			s.judge(old, d, Clean)
			s.exec(s.primary, "SET GLOBAL read_only = 0")
			s.bringBack(old, d, Account{})
		})
	}
}
