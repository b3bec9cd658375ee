package proxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/router"
)

// known lists the sessions' ids as clients and servers call them.
func (b *testbed) known() (ids [][2]uint32) {
	for _, s := range b.cluster.Sessions() {
		ids = append(ids, [2]uint32{s.KnownID, s.ServerID})
	}
	return ids
}

// aliveIDs plays the control account that looks for connections.
func aliveIDs(ids ...uint32) func(*Config) {
	return func(c *Config) {
		c.ThreadAlive = func(_ context.Context, _ string, id uint32) (bool, error) {
			for _, i := range ids {
				if i == id {
					return true, nil
				}
			}
			return false, nil
		}
	}
}

// busyIDs makes server b give the ids up to n to others than the sessions, which may get the connection that the cluster has
// looked at the server with.
func (b *testbed) busyIDs(n int) {
	b.t.Helper()
	low := 0
	b.eventually("low ids are taken", func() bool {
		g, err := b.cluster.config.Dialer.Greet(b.t.Context(), b.b.Addr())
		if err != nil {
			b.t.Fatal(err)
		}
		b.t.Cleanup(g.Release)
		if g.Greeting.ConnID <= uint32(n) {
			low++
		}
		return low == n
	})
}

// wantKilled waits for the end of a session that was killed. The scripted server does not hang up on it, so that a
// command may get through before the news.
func (c *client) wantKilled() {
	c.t.Helper()
	for deadline := time.Now().Add(patience); c.exec("DO 1") == nil; {
		if time.Now().After(deadline) {
			c.t.Fatal("the session lives on")
		}
	}
	c.wantClosed()
}

func TestKillFollowsTheSession(t *testing.T) {
	bed := newTestbed(t, aliveIDs())
	killer, victim := bed.client(), bed.client()
	killer.must("DO 1")
	victim.must("DO 1")
	id := bed.known()[1][0]
	bed.busyIDs(10)
	bed.move()
	killer.wantAt("b")
	victim.wantAt("b")
	now := bed.known()[1]
	if now[0] != id || now[1] == id {
		t.Fatalf("the client's id was %d, it is %v", id, now)
	}
	killer.must(fmt.Sprintf("KILL QUERY %d /* %d */", id, id))
	if want := fmt.Sprintf("KILL QUERY %d /* %d */", now[1], id); bed.b.Heard(want) != 1 {
		t.Errorf("b did not hear %q", want)
	}
	victim.wantAt("b")
	killer.must(fmt.Sprintf("KILL %d", id))
	victim.wantKilled()
	killer.wantAt("b")
}

func TestKillOnAnotherServer(t *testing.T) {
	bed := newTestbed(t, func(c *Config) {
		aliveIDs()(c)
		c.Listeners = append(c.Listeners, ListenerConfig{Address: "127.0.0.1:0", Policy: router.Policy{Route: router.RouteStandby}})
	})
	bed.cluster.Observe([]router.Standby{{Instance: bed.server(bed.b), Ready: true}})
	bed.busyIDs(10)
	killer := bed.client()
	killer.must("DO 1")
	victim := bed.clientAt(1)
	victim.wantAt("b")
	id := bed.known()[1][0]
	killer.must(fmt.Sprintf("KILL QUERY 0x%x", id))
	if want := fmt.Sprintf("KILL QUERY %d", id); bed.b.Heard(want) != 1 || bed.a.Heard(want) != 0 {
		t.Errorf("the kill did not reach b alone: %d, %d", bed.b.Heard(want), bed.a.Heard(want))
	}
	killer.must(fmt.Sprintf("KILL CONNECTION %d", id))
	victim.wantKilled()
	killer.wantAt("a")
}

// Two servers give the same id to clients of two listeners: each is greeted with the id that its server has for it, and a
// kill means the one of the killer's own listener.
func TestSameIDOnTwoListeners(t *testing.T) {
	bed := newTestbed(t, func(c *Config) {
		aliveIDs()(c)
		c.Listeners = append(c.Listeners, ListenerConfig{Address: "127.0.0.1:0", Policy: router.Policy{Route: router.RouteStandby}})
	})
	bed.cluster.Observe([]router.Standby{{Instance: bed.server(bed.b), Ready: true}})
	var clients [2][]*client
	for range 4 {
		for i := range clients {
			c := bed.clientAt(i)
			c.must("DO 1")
			clients[i] = append(clients[i], c)
		}
	}
	count := map[uint32][]int{}
	for i, ids := range bed.known() {
		if ids[0] != ids[1] {
			t.Errorf("a client was greeted with %d by a server that calls it %d", ids[0], ids[1])
		}
		count[ids[0]] = append(count[ids[0]], i)
	}
	for id, both := range count {
		if len(both) < 2 || both[0] < 2 { // the killers live on
			continue
		}
		clients[1][0].must(fmt.Sprintf("KILL %d", id))
		for _, i := range both {
			if i%2 == 1 {
				clients[1][i/2].wantKilled()
			} else {
				clients[0][i/2].wantAt("a")
			}
		}
		return
	}
	t.Error("no id was given twice")
}

func TestAmbiguousKill(t *testing.T) {
	var alive atomic.Uint32
	bed := newTestbed(t, func(c *Config) {
		c.ThreadAlive = func(_ context.Context, server string, id uint32) (bool, error) {
			if server != "b" {
				return false, errors.New("the wrong server was asked")
			}
			return id == alive.Load(), nil
		}
	})
	killer, victim := bed.client(), bed.client()
	killer.must("DO 1")
	victim.must("DO 1")
	id := bed.known()[1][0]
	bed.busyIDs(10)
	bed.move()
	killer.wantAt("b") // on a it would ask that one
	victim.wantAt("b")
	alive.Store(id)
	err := killer.exec(fmt.Sprintf("KILL %d", id))
	wantCode(t, err, erNoSuchThread, "HY000")
	if me := (*mysql.MySQLError)(nil); !errors.As(err, &me) || !strings.Contains(me.Message, "ambiguous") {
		t.Error(err)
	}
	victim.wantAt("b")
	killer.must(fmt.Sprintf("KILL %d", bed.known()[1][1])) // as the server calls it
	victim.wantKilled()
}

func TestKillOfASessionWithoutAServer(t *testing.T) {
	bed := newTestbed(t, aliveIDs())
	killer, victim := bed.client(), bed.client()
	killer.must("DO 1")
	victim.must("DO 1")
	id := bed.known()[1][0]
	bed.busyIDs(10)
	bed.move()
	killer.wantAt("b")
	bed.eventually("the victim has no server", func() bool { return bed.cluster.Sessions()[1].Server == "" })
	killer.must(fmt.Sprintf("KILL QUERY %d", id)) // nothing runs
	victim.wantAt("b")
	killer.must(fmt.Sprintf("KILL %d", id))
	victim.wantKilled()
}

func several(c *mysql.Config) { c.MultiStatements = true }

// The first of several statements follows the session as a kill alone does; the others run where the client is.
func TestKillBeforeOtherStatements(t *testing.T) {
	bed := newTestbed(t, func(c *Config) {
		aliveIDs()(c)
		c.Listeners = append(c.Listeners, ListenerConfig{Address: "127.0.0.1:0", Policy: router.Policy{Route: router.RouteStandby}})
	})
	bed.cluster.Observe([]router.Standby{{Instance: bed.server(bed.b), Ready: true}})
	bed.busyIDs(10)
	killer, plain, victim := bed.clientAt(0, several), bed.client(), bed.clientAt(1)
	killer.must("DO 1")
	plain.must("DO 1")
	victim.wantAt("b")
	id := bed.known()[2][0]
	plain.must(fmt.Sprintf("KILL QUERY %d; DO 1", id)) // the server is to say that it takes one only
	if sql := fmt.Sprintf("KILL QUERY %d; DO 1", id); bed.a.Heard(sql) != 1 {
		t.Errorf("a did not hear %q", sql)
	}
	killer.must(fmt.Sprintf("/* x */ KILL QUERY %d /* y */; DO 2", id))
	if sql := fmt.Sprintf("/* x */ KILL QUERY %d /* y */", id); bed.b.Heard(sql) != 1 || bed.a.Heard("DO 0; DO 2") != 1 {
		t.Errorf("b did not hear %q, or a not the rest", sql)
	}
	killer.must("KILL 4711; KILL 4712; DO 3") // nobody's
	if bed.a.Heard("KILL 4711; KILL 4712; DO 3") != 1 {
		t.Error("the ids of nobody were not left as they are")
	}
}

func TestKillBeforeOtherStatementsAfterAMove(t *testing.T) {
	bed := newTestbed(t, aliveIDs())
	killer, victim := bed.clientAt(0, several), bed.client()
	killer.must("DO 1")
	victim.must("DO 1")
	id := bed.known()[1][0]
	bed.busyIDs(10)
	bed.move()
	killer.wantAt("b")
	bed.eventually("the victim has no server", func() bool { return bed.cluster.Sessions()[1].Server == "" })
	killer.must(fmt.Sprintf("KILL QUERY %d; DO 4", id))
	if bed.b.Heard("DO 0; DO 4") != 1 {
		t.Error("b did not hear the rest")
	}
	victim.wantAt("b")
	now := bed.known()[1][1]
	killer.must(fmt.Sprintf("KILL QUERY %d; SET @id = %d", id, id))
	if sql := fmt.Sprintf("KILL QUERY %d; SET @id = %d", now, id); bed.b.Heard(sql) != 1 {
		t.Errorf("b did not hear %q", sql)
	}
	killer.must(fmt.Sprintf("KILL %d; DO 5", id))
	victim.wantKilled()
	killer.wantAt("b")
}

// held runs a statement that waits for a server, and gives its end.
func (b *testbed) held(c *client, waiting int) <-chan error {
	b.t.Helper()
	done := make(chan error, 1)
	go func() { done <- c.exec("INSERT 1") }()
	b.eventually("the statement waits", func() bool { return b.cluster.gate.Waiting() == waiting })
	return done
}

func TestKillOfAStatementThatIsHeld(t *testing.T) {
	bed := newTestbed(t, aliveIDs())
	killer, victim, other := bed.client(), bed.client(), bed.client()
	killer.must("DO 1")
	for _, c := range []*client{victim, other} {
		c.must("DO 1")
	}
	id := bed.known()[1][0]
	bed.cluster.Hold("test")
	waits, others := bed.held(victim, 1), bed.held(other, 2)
	killer.must(fmt.Sprintf("KILL QUERY %d", id))
	wantCode(t, <-waits, erInterrupted, "70100")
	waits = bed.held(victim, 2)
	killer.must(fmt.Sprintf("KILL %d", id))
	if err := <-waits; err == nil || errors.As(err, new(*mysql.MySQLError)) {
		t.Errorf("a killed session was told %v", err)
	}
	victim.wantClosed()
	bed.cluster.Resume()
	if err := <-others; err != nil {
		t.Errorf("another session: %v", err)
	}
	if n := bed.a.Heard("INSERT 1"); n != 1 {
		t.Errorf("%d statements were run", n)
	}
}

// Nobody has a server, as when the primary has died.
func TestKillOfAStatementThatIsHeldWithoutAServer(t *testing.T) {
	bed := newTestbed(t, aliveIDs())
	killer, victim := bed.client(), bed.client()
	killer.must("DO 1")
	victim.must("DO 1")
	id := bed.known()[1][0]
	bed.cluster.Hold("test")
	defer bed.cluster.Resume()
	bed.a.Close()
	waits := bed.held(victim, 1)
	bed.eventually("the killer's server is gone", func() bool { return bed.a.Conns() == 0 })
	time.Sleep(peekAfter) // sooner a server connection is taken to live
	killer.must(fmt.Sprintf("KILL QUERY %d", id))
	wantCode(t, <-waits, erInterrupted, "70100")
	waits = bed.held(victim, 1)
	killer.must(fmt.Sprintf("KILL %d", id))
	if err := <-waits; err == nil || errors.As(err, new(*mysql.MySQLError)) {
		t.Errorf("a killed session was told %v", err)
	}
	victim.wantClosed()
}

// The new primary accepts connections and says nothing.
func TestKillOfAStatementThatWaitsForAConnection(t *testing.T) {
	bed := newTestbed(t, aliveIDs())
	killer, victim := bed.client(), bed.client()
	killer.must("DO 1")
	victim.must("DO 1")
	id := bed.known()[1][0]
	bed.busyIDs(2) // a connection that was made before has its greeting
	bed.b.Mute(true)
	bed.move()
	done := make(chan error, 1)
	go func() { done <- victim.exec("INSERT 1") }()
	bed.eventually("the victim waits", func() (waits bool) {
		bed.cluster.each(func(s *clientSession) { waits = waits || s.waiting.Load() != nil })
		return waits
	})
	killer.must(fmt.Sprintf("KILL QUERY %d", id))
	wantCode(t, <-done, erInterrupted, "70100")
	bed.b.Mute(false)
	victim.wantAt("b")
	if bed.b.Heard("INSERT 1") != 0 {
		t.Error("it was run")
	}
}

// A kill changes no data: it need not wait for the end of a switchover, which it may be that it helps.
func TestKillIsNotHeld(t *testing.T) {
	bed := newTestbed(t, func(c *Config) { c.HoldTimeout = 50 * time.Millisecond })
	killer, victim := bed.client(), bed.client()
	killer.must("DO 1")
	victim.must("BEGIN")
	id := bed.known()[1][0]
	bed.cluster.Hold("test")
	defer bed.cluster.Resume()
	killer.must(fmt.Sprintf("KILL QUERY %d", id))
	killer.must(fmt.Sprintf("KILL %d", id))
	victim.wantKilled()
	if open := bed.cluster.Drain(t.Context()); open != 0 {
		t.Errorf("%d are open", open)
	}
	for _, sql := range []string{"INSERT 1", "KILL QUERY 1; INSERT 1", "KILL QUERY 1 /*!50000 ; INSERT 1 */", "KILL QUERY f()", "KILL USER app"} {
		wantCode(t, killer.exec(sql), erNoPrimary, "HY000") // others are held
	}
}

func TestEnd(t *testing.T) {
	bed := newTestbed(t, nil)
	victim := bed.client()
	victim.must("BEGIN")
	if !bed.cluster.End(bed.cluster.Sessions()[0].ID, errors.New("test")) || bed.cluster.End(4711, errors.New("test")) {
		t.Error("not told who is there")
	}
	victim.wantKilled()
	bed.eventually("nothing is left", func() bool { return bed.cluster.Count() == 0 && bed.cluster.SessionsOn("a") == 0 })
}

func TestIdentitiesKeepFewFormerIDs(t *testing.T) {
	ids := identities{known: map[identity]*clientSession{}}
	s := &clientSession{}
	user := "app"
	s.account.Store(&user)
	if id := ids.claim(s, 7); id != 7 {
		t.Fatal(id)
	}
	for id := range uint32(20) {
		ids.arrived(s, id)
		ids.arrived(s, id)
	}
	if len(s.formerIDs) != maxFormerIDs {
		t.Errorf("%d are kept", len(s.formerIDs))
	}
	if _, others := ids.find(nil, 19); len(others) != 1 {
		t.Error("the last one is forgotten")
	}
	other := &clientSession{}
	if id := ids.claim(other, 7); id < firstOwnID {
		t.Errorf("7 was given twice: %d", id)
	}
	if id := ids.claim(&clientSession{}, 0); id < firstOwnID {
		t.Errorf("without a server: %d", id)
	}
	ids.release(s)
	if g, others := ids.find(nil, 7); g != nil || len(others) != 0 {
		t.Error("a released id names somebody")
	}
	if id := ids.claim(&clientSession{}, 7); id != 7 {
		t.Errorf("7 is free: %d", id)
	}
}
