package rejoin

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// The primary is written to while a server comes back: nothing waits for a moment of rest.
func TestReturnUnderLoad(t *testing.T) {
	for _, p := range pairs {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			s := startScene(t, p.Options)
			old, d := s.leave(killed)
			s.crash(old)
			stop := s.load(s.primary)
			s.quarantine(old)
			s.judge(old, d, Clean)
			err := Reattach(s.within(20*time.Second), old.Server, s.primary.Server, Account{}, d)
			if err == nil {
				err = Relink(s.within(20*time.Second), old.Server, s.primary.Server, d)
			}
			if stop(); err != nil {
				t.Fatal(err)
			}
			s.wantEqual()
			if l := s.linkOf(s.primary, old); !l.Running() {
				t.Errorf("the link back: receiver %s, applier %s: %s%s", l.IO, l.SQL, l.IOError, l.SQLError)
			}
			old, d = s.leave(nil) // the pair works in the other direction, too
			s.quarantine(old)
			s.judge(old, d, Clean)
			s.bringBack(old, d, Account{})
		})
	}
}

// load writes rows with several sessions until the function it gives is called.
func (s *scene) load(n *node) (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for id := (i + 1) * 1_000_000; ctx.Err() == nil; id++ {
				if _, err := n.root.ExecContext(ctx, "INSERT INTO app.acks VALUES (?, 'load')", id); err != nil && ctx.Err() == nil {
					s.t.Errorf("write on the primary: %v", err)
					return
				}
			}
		})
	}
	return func() {
		cancel()
		writers.Wait()
	}
}

// A server of which nothing is left to compare is not clean, although the primary has everything it has.
func TestEmptyServerIsNotClean(t *testing.T) {
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			s := startScene(t, mysqltest.PairOptions{Flavor: f})
			old, d := s.leave(nil)
			s.quarantine(old)
			s.exec(old, map[mysqltest.Flavor]string{mysqltest.MariaDB: "RESET MASTER", mysqltest.MySQL: "RESET BINARY LOGS AND GTIDS"}[f])
			if f == mysqltest.MariaDB {
				s.exec(old, "SET GLOBAL gtid_slave_pos = ''")
			}
			s.judge(old, d, Unknown)
		})
	}
}
