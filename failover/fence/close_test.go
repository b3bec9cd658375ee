package fence

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// mustClose closes the primary and looks at the proof.
func (s *site) mustClose(a *Attempt) *Proof {
	s.t.Helper()
	begun := time.Now()
	proof, err := a.Close(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Logf("closed in %s, %d tries, killed %v", time.Since(begun).Round(time.Millisecond), a.Report().Tries, a.Report().Killed)
	if proof.Kind() != Proved || proof.Of() != "a" || len(proof.Evidence()) == 0 || s.flags(s.a) != closed {
		s.t.Errorf("%s of %s, %q", proof.Kind(), proof.Of(), proof.Evidence())
	}
	return proof
}

// T1 holds a row lock, T2 waits for it, the fence waits for T2: without help all stand still for 50 s.
func TestCloseEndsAChainOfRowLocks(t *testing.T) {
	onPairs(t, func(s *site) {
		t1, t2 := s.session("app"), s.session("app")
		s.exec(t1, "BEGIN")
		s.exec(t1, "UPDATE t SET n = 1 WHERE id = 1")
		ended := make(chan error, 1)
		go func() {
			_, err := t2.ExecContext(context.Background(), "UPDATE t SET n = 2 WHERE id = 1")
			ended <- err
		}()
		time.Sleep(200 * time.Millisecond)
		a := s.attempt(limits())
		s.mustClose(a)
		if len(a.Report().Killed) == 0 {
			s.t.Error("nobody was killed")
		}
		<-ended
	})
}

// An idle holder of LOCK TABLES ... WRITE would keep the fence waiting for ever.
func TestCloseEndsTableLocks(t *testing.T) {
	onPairs(t, func(s *site) {
		holder := s.session("app")
		s.exec(holder, "LOCK TABLES t WRITE")
		a := s.attempt(limits())
		s.mustClose(a)
		if _, err := holder.ExecContext(context.Background(), "INSERT INTO t VALUES (2, 0)"); err == nil {
			s.t.Error("the holder of the table lock wrote after the fence")
		}
	})
}

// An account that passes read_only is ended on MariaDB, and stopped by super_read_only on MySQL.
func TestCloseStopsPrivilegedSessions(t *testing.T) {
	onPairs(t, func(s *site) {
		super := s.session("root")
		s.exec(super, "BEGIN")
		s.exec(super, "INSERT INTO t VALUES (3, 0)")
		s.mustClose(s.attempt(limits()))
		if _, err := super.ExecContext(context.Background(), "COMMIT"); err == nil {
			s.t.Error("the transaction of a privileged session was committed after the fence")
		}
		var n int
		if err := s.b.DB.QueryRow("SELECT COUNT(*) FROM app.t WHERE id = 3").Scan(&n); err == nil && n != 0 {
			s.t.Error("its row has reached the standby")
		}
	})
}

// A blocker that may not be ended: the fence fails in its budget, says that the server is open, and does not close it
// later, when the blocker has gone.
func TestCloseLeavesNoZombie(t *testing.T) {
	onPairs(t, func(s *site) {
		s.root("CREATE DATABASE IF NOT EXISTS onewriter")
		s.root("CREATE TABLE IF NOT EXISTS onewriter.t (id INT PRIMARY KEY) ENGINE=InnoDB")
		holder := s.session(mysqltest.ControlUser)
		s.exec(holder, "LOCK TABLES onewriter.t WRITE")
		l := limits()
		l.Budget = 500 * time.Millisecond
		a := s.attempt(l)
		begun := time.Now()
		proof, err := a.Close(context.Background())
		if !errors.Is(err, ErrNotClosed) || proof != nil {
			s.t.Fatalf("got %v, %v", proof, err)
		}
		if took := time.Since(begun); took > 5*time.Second {
			s.t.Errorf("it took %s", took)
		}
		s.exec(holder, "UNLOCK TABLES")
		for range 15 {
			time.Sleep(100 * time.Millisecond)
			if s.flags(s.a) != open {
				s.t.Fatal("the fence was carried out after it had failed")
			}
		}
		s.mustClose(s.attempt(limits()))
	})
}

// What a process that was killed has left pending is found and ended.
func TestEndStray(t *testing.T) {
	onPairs(t, func(s *site) {
		s.root("CREATE DATABASE IF NOT EXISTS onewriter")
		s.root("CREATE TABLE IF NOT EXISTS onewriter.t (id INT PRIMARY KEY) ENGINE=InnoDB")
		holder, left := s.session(mysqltest.ControlUser), s.session(mysqltest.ControlUser)
		s.exec(holder, "LOCK TABLES onewriter.t WRITE")
		ended := make(chan error, 1)
		go func() { ended <- s.a.Dialect.SetReadOnly(context.Background(), left) }()
		time.Sleep(200 * time.Millisecond)
		conn, err := s.a.DB.Conn(context.Background())
		if err != nil {
			s.t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := EndStray(ctx, s.a, conn); err != nil {
			s.t.Fatal(err)
		}
		if err := <-ended; err == nil {
			s.t.Error("the pending statement succeeded")
		}
		s.exec(holder, "UNLOCK TABLES")
		time.Sleep(200 * time.Millisecond)
		if s.flags(s.a) != open {
			s.t.Error("the server closed itself")
		}
	})
}

// A proof opens one server once; after that the fence cannot be undone any more, and before it can.
func TestAProofOpensOneServerOnce(t *testing.T) {
	onPairs(t, func(s *site) {
		ctx := context.Background()
		a := s.attempt(limits())
		s.mustClose(a)
		if err := a.Reopen(ctx); err != nil || s.flags(s.a) != open {
			s.t.Fatalf("reopen: %v", err)
		}
		if _, err := ProveClosed(ctx, s.a, s.b); !errors.Is(err, ErrNotClosed) {
			s.t.Errorf("an open server was proved closed: %v", err)
		}
		a = s.attempt(limits())
		proof := s.mustClose(a)
		if p, err := ProveClosed(ctx, s.a, s.b); err != nil || p.Kind() != Proved || p.Of() != "a, b" {
			s.t.Errorf("%v, %v", p, err)
		}
		conn, err := s.b.DB.Conn(ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		defer func() { _ = s.b.Dialect.SetReadOnly(ctx, conn) }() // as it was
		if err := Promote(ctx, proof, s.b, conn, limits()); err != nil || s.flags(s.b) != open {
			s.t.Fatalf("promote: %v", err)
		}
		if err := a.Reopen(ctx); !errors.Is(err, ErrNoProof) || s.flags(s.a) != closed {
			s.t.Errorf("the old primary was reopened after the promotion: %v", err)
		}
		if err := Promote(ctx, proof, s.b, conn, limits()); !errors.Is(err, ErrNoProof) {
			s.t.Errorf("the proof was good twice: %v", err)
		}
	})
}
