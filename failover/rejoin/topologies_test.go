package rejoin

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/pause"
)

// A star stays a star: the server that comes back has no link and gets one, the new primary loses its own.
func TestReturnToStar(t *testing.T) {
	for _, p := range pairs {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			o := p.Options
			o.Star = true
			s := startScene(t, o)
			old, d := s.leave(nil)
			s.quarantine(old)
			s.judge(old, d, Clean)
			if err := Reattach(s.within(5*time.Second), old.Server, s.primary.Server, Account{}, d); !errors.Is(err, ErrNoAccount) {
				t.Errorf("attached without an account: %v", err)
			}
			s.bringBack(old, d, account)
			if links := s.observe(s.primary).Links; len(links) != 0 {
				t.Errorf("the primary has links: %+v", links)
			}
			// And back again, by which the link that is there is pointed elsewhere.
			old, d = s.leave(nil)
			s.quarantine(old)
			s.judge(old, d, Clean)
			s.bringBack(old, d, account)
		})
	}
}

// Commits of the cut-off primary wait for an acknowledgement that nobody gives, and the fence waits for them.
func TestReturnWithSemiSync(t *testing.T) {
	for _, p := range pairs {
		if p.Options.FilePos {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			o := p.Options
			o.SemiSync = true
			s := startScene(t, o)
			old, d := s.leave(s.hang)
			s.quarantine(old)
			j := s.judge(old, d, Diverged)
			if len(j.Errant) != 1 {
				t.Errorf("%d errant transactions: %q", len(j.Errant), j.Reasons)
			}
			state, err := old.Dialect.SemiSync(t.Context(), old.DB)
			if err != nil || state.Source {
				t.Errorf("the source side is on in quarantine: %t, %v", state.Source, err)
			}
			s.takeAway(old, []int{1000000})
			s.discard(old, d)
			if state, err = s.primary.Dialect.SemiSync(t.Context(), s.primary.DB); err != nil || !state.Source || !state.Active || state.Clients != 1 {
				t.Errorf("the primary waits for nobody: %+v, %v", state, err)
			}
			s.write(s.primary, 2)
			s.wantEqual()
		})
	}
}

// hang begins a commit that nobody acknowledges and wants its client never to hear of success.
func (s *scene) hang(n *node) {
	s.t.Helper()
	db, err := sql.Open("mysql", n.proc.DSN(mysqltest.AppUser, mysqltest.AppPassword, "app"))
	if err != nil {
		s.t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := db.ExecContext(context.Background(), "INSERT INTO app.acks VALUES (1000000, 'nobody')")
		result <- errors.Join(err, db.Close())
	}()
	s.t.Cleanup(func() {
		if err := <-result; err == nil {
			s.t.Error("the client heard of a commit that was never acknowledged")
		}
	})
	s.waitFor("the commit to hang", func() bool {
		var waiting int
		err := n.root.QueryRowContext(s.t.Context(), "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE '%semi-sync%ACK%' AND info LIKE '%1000000%'").Scan(&waiting)
		return err == nil && waiting == 1
	})
}

// CLONE replaces everything on MySQL; the server ends after it, because no supervisor starts it again here.
func TestRebuild(t *testing.T) {
	for _, p := range pairs {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			s := startScene(t, p.Options)
			var lost []int
			old, d := s.leave(func(old *node) { lost = s.write(old, 3) })
			s.quarantine(old)
			if p.Options.Flavor == mysqltest.MariaDB {
				s.wantManual(old)
				return
			}
			for _, q := range CloneGrants(mysqltest.ControlUser) {
				s.exec(s.primary, q)
			}
			s.grantUnlogged(old)
			restarted := s.restartWhenEnded(old)
			if err := Rebuild(s.within(90*time.Second), old.Server, s.primary.Server, account); err != nil {
				t.Fatalf("%v\n%s", err, old.proc.Log())
			}
			if err := <-restarted; err != nil {
				t.Fatal(err)
			}
			if got := s.has(old, lost); got != 0 {
				t.Errorf("%d rows have survived", got)
			}
			renewed, err := Renew(t.Context(), old.Server, d)
			if err != nil {
				t.Fatal(err)
			}
			s.judge(old, renewed, Clean)
			s.relink(old, d)
		})
	}
}

func (s *scene) wantManual(old *node) {
	s.t.Helper()
	err := Rebuild(s.within(5*time.Second), old.Server, s.primary.Server, account)
	var manual *ManualError
	if !errors.Is(err, ErrManual) || !errors.As(err, &manual) || len(manual.Commands) < 5 {
		s.t.Errorf("got %v", err)
	}
}

// grantUnlogged gives the rights on a closed server, too.
func (s *scene) grantUnlogged(n *node) {
	s.t.Helper()
	conn, err := n.root.Conn(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	statements := append([]string{"SET GLOBAL super_read_only = 0", "SET SESSION sql_log_bin = 0"}, CloneGrants(mysqltest.ControlUser)...)
	for _, q := range append(statements, "SET SESSION sql_log_bin = 1", "SET GLOBAL super_read_only = 1") {
		if _, err := conn.ExecContext(s.t.Context(), q); err != nil {
			s.t.Fatalf("%s: %v", q, err)
		}
	}
}

// restartWhenEnded does what a supervisor would do.
func (s *scene) restartWhenEnded(n *node) <-chan error {
	out := make(chan error, 1)
	ctx := s.within(90 * time.Second)
	go func() {
		for n.root.PingContext(ctx) == nil {
			if pause.For(ctx, 100*time.Millisecond) != nil {
				break
			}
		}
		out <- n.proc.Restart(ctx, nil)
	}()
	return out
}
