package fence

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/topology"
)

// After the proof a commit on the old primary, which is open and reachable, is never acknowledged.
func TestProveSilenced(t *testing.T) {
	onOwnPairs(t, mysqltest.PairOptions{SemiSync: true}, func(s *site) {
		ctx := context.Background()
		s.root("CREATE TABLE app.t (id INT PRIMARY KEY, n INT) ENGINE=InnoDB")
		s.root("INSERT INTO app.t VALUES (1, 0)")
		was, err := s.a.Dialect.SemiSync(ctx, s.a.DB)
		if err != nil {
			s.t.Fatal(err)
		}
		candidate := s.acknowledges(true)
		s.refuses(was, candidate)
		proof, err := ProveSilenced(ctx, s.b, "", was, candidate)
		if err != nil {
			s.t.Fatalf("%+v: %v", was, err)
		}
		if proof.Kind() != BySemiSync || proof.Of() != s.pair.Servers[0].Addr() || len(proof.Evidence()) == 0 {
			s.t.Errorf("%s of %s: %q", proof.Kind(), proof.Of(), proof.Evidence())
		}
		client := s.session("app")
		ended := make(chan error, 1)
		go func() {
			_, err := client.ExecContext(context.Background(), "INSERT INTO t VALUES (2, 0)")
			ended <- err
		}()
		select {
		case err := <-ended:
			s.t.Errorf("the old primary answered a commit: %v", err)
		case <-time.After(3 * time.Second):
		}
		var n int
		if err := s.a.DB.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for semi-sync%'").Scan(&n); err != nil || n == 0 {
			s.t.Errorf("%d commits wait for the acknowledgement: %v", n, err)
		}
		facts, err := s.b.Dialect.Observe(ctx, s.b.DB)
		if err != nil || facts.Links[0].SQL != topology.ThreadYes {
			s.t.Errorf("the applier of the candidate was stopped, too: %v, %v", facts.Links, err)
		}
		s.pair.Servers[0].Kill9() // the only way to get rid of the client
		if err := <-ended; err == nil {
			s.t.Error("the commit was acknowledged in the end")
		}
	})
}

// refuses: sources that could go on without the candidate are not silenced, and the receiver goes on.
func (s *site) refuses(was, candidate flavor.SemiSync) {
	s.t.Helper()
	ctx := context.Background()
	for name, change := range map[string]func(*flavor.SemiSync){
		"source off": func(w *flavor.SemiSync) { w.Source = false }, "fallen back": func(w *flavor.SemiSync) { w.Active = false },
		"after commit": func(w *flavor.SemiSync) { w.AfterSync = false }, "time-out": func(w *flavor.SemiSync) { w.Timeout = 10 * time.Second },
		"does not wait alone": func(w *flavor.SemiSync) { w.WaitsAlone = false }, "two acknowledge": func(w *flavor.SemiSync) { w.Clients = 2 },
		"nobody acknowledges": func(w *flavor.SemiSync) { w.Clients = 0 }, "nothing known": func(w *flavor.SemiSync) { *w = flavor.SemiSync{} },
	} {
		w := was
		change(&w)
		if p, err := ProveSilenced(ctx, s.b, "", w, candidate); !errors.Is(err, ErrNotSilenced) || p != nil {
			s.t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	// A receiver that connected before the replica side was switched on is asynchronous; somebody else acknowledges.
	s.reconnect(func() error { return s.b.Dialect.SetSemiSyncReplica(ctx, s.b.DB, false) })
	if err := s.b.Dialect.SetSemiSyncReplica(ctx, s.b.DB, true); err != nil {
		s.t.Fatal(err)
	}
	if p, err := ProveSilenced(ctx, s.b, "", was, s.acknowledges(false)); !errors.Is(err, ErrNotSilenced) || p != nil {
		s.t.Errorf("asynchronous: %v, %v", p, err)
	}
	facts, err := s.b.Dialect.Observe(ctx, s.b.DB)
	if err != nil || facts.Links[0].IO != topology.ThreadYes {
		s.t.Errorf("a refused proof has stopped the receiver: %v, %v", facts.Links, err)
	}
	s.reconnect(func() error { return nil })
	s.acknowledges(true)
}

// reconnect starts the receiver of the standby anew after a change.
func (s *site) reconnect(change func() error) {
	s.t.Helper()
	ctx, d := context.Background(), s.b.Dialect
	err := errors.Join(d.StopReplica(ctx, s.b.DB, "", flavor.ReceiverThread), change(), d.StartReplica(ctx, s.b.DB, "", flavor.ReceiverThread))
	for begun := time.Now(); err == nil; time.Sleep(10 * time.Millisecond) {
		var facts topology.Facts
		if facts, err = d.Observe(ctx, s.b.DB); err == nil && facts.Links[0].IO == topology.ThreadYes {
			return
		}
		if time.Since(begun) > 20*time.Second {
			err = fmt.Errorf("the receiver is %s", facts.Links[0].IO)
		}
	}
	s.t.Fatal(err)
}

// acknowledges waits until the standby says that it acknowledges, or that it does not although it is to.
func (s *site) acknowledges(want bool) flavor.SemiSync {
	s.t.Helper()
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		semi, err := s.b.Dialect.SemiSync(context.Background(), s.b.DB)
		if err == nil && semi.Replica && semi.Acknowledges == want {
			return semi
		}
		if time.Since(begun) > 20*time.Second {
			s.t.Fatalf("%+v, %v; want acknowledges %t", semi, err, want)
		}
	}
}
