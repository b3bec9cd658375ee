package proxy

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/onewriter/onewriter/internal/wire"
)

// greeted connects without logging in.
func (b *testbed) greeted() (*wire.PacketConn, wire.Greeting, []byte) {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.addr())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * patience))
	pc := wire.NewPacketConn(conn)
	payload, err := pc.ReadPacket()
	if err != nil {
		b.t.Fatal(err)
	}
	payload = append([]byte(nil), payload...)
	g, err := wire.ParseGreeting(payload)
	if err != nil {
		b.t.Fatal(err)
	}
	return pc, g, payload
}

// settled waits until nothing of server a's quotas is taken.
func (b *testbed) settled() {
	b.t.Helper()
	b.eventually("the quotas are given back", func() bool {
		for _, q := range b.cluster.quotas {
			for _, one := range []*quota{&q.connections, &q.logins, &q.pending} {
				if held, waiting := one.count(); held != 0 || waiting != 0 {
					return false
				}
			}
		}
		return true
	})
}

func TestClientsThatDoNotLogInHoldFewConnections(t *testing.T) {
	bed := newTestbed(t, func(c *Config) { c.Limits.PendingLogins = 2 })
	bed.client() // the server is known
	for i := range 5 {
		if _, g, _ := bed.greeted(); (g.ConnID >= firstOwnID) != (i >= 2) {
			t.Errorf("client %d was greeted with id %d", i, g.ConnID)
		}
	}
	if n := bed.a.Conns(); n > 2+1+1 { // those, the session, and a spare one of the survey
		t.Errorf("%d connections to the server", n)
	}
	bed.client().wantAt("a") // logs in on a connection of its own
	pc, g, payload := bed.greeted()
	bed.login(pc, payload)
	if g.Version == "" || g.ConnID < firstOwnID {
		t.Errorf("greeted with %+v", g)
	}
}

func TestLateLoginGoesWhereThePrimaryIsNow(t *testing.T) {
	bed := newTestbed(t, func(c *Config) { c.Limits.PendingLogins = 1 })
	bed.client()
	bed.greeted()
	pc, _, payload := bed.greeted()
	bed.move()
	bed.login(pc, payload)
	bed.eventually("the session is on b", func() bool { return bed.cluster.SessionsOn("b") == 1 })
}

// A client that was greeted with the features of the servers known by then does not get one that lacks some of them.
func TestLateLoginAtAServerOfFewerFeatures(t *testing.T) {
	bed := newTestbed(t, func(c *Config) { c.Limits.PendingLogins = 1 })
	bed.eventually("both servers are known", func() bool { _, ok := bed.cluster.ability("b"); return ok })
	bed.client()
	bed.greeted()
	pc, _, payload := bed.greeted()
	bed.b.Forget(wire.ClientDeprecateEOF)
	bed.b.Cut()
	bed.cluster.config.Dialer.Close() // spare connections have the old greeting
	bed.move()
	reply := bed.loginReply(pc, payload)
	if e, err := wire.ParseErr(reply); err != nil || e.Code != erNoPrimary {
		t.Errorf("got %q, %v", reply, err)
	}
	bed.eventually("nothing is left on b", func() bool { return bed.b.Conns() == 0 })
}

// Who has not logged in learns nothing of the servers but a name.
func TestUnreachableServerBeforeTheLogin(t *testing.T) {
	bed := newTestbed(t, func(c *Config) { c.HoldTimeout = 50 * time.Millisecond })
	bed.a.Close()
	bed.cluster.config.Dialer.Close() // a spare connection of the survey
	reply, err := bed.knock("")
	if err != nil {
		t.Fatal(err)
	}
	if text := string(reply); !wire.IsErr(reply) || !strings.Contains(text, "can't connect to a,") || strings.Contains(text, "127.0.0.1") {
		t.Errorf("got %q", reply)
	}
}

func TestServerConnectionLimit(t *testing.T) {
	bed := newTestbed(t, func(c *Config) {
		c.Limits.ServerConnections = map[string]int{"a": 1}
		c.Limits.Queue, c.Limits.QueueTimeout = 1, patience
	})
	first := bed.client()
	second := make(chan error, 1)
	go func() {
		conn, err := bed.connect()
		if err == nil {
			defer conn.Close()
		}
		second <- err
	}()
	q := bed.cluster.quotas["a"]
	bed.eventually("the second one waits", func() bool { _, n := q.connections.count(); return n == 1 })
	_, err := bed.connect()
	wantCode(t, err, erConCount, "08004")
	_ = first.conn.Close()
	if err := <-second; err != nil {
		t.Errorf("the second one: %v", err)
	}
	bed.settled()
}

func TestWaitForAServerConnectionIsBounded(t *testing.T) {
	bed := newTestbed(t, func(c *Config) {
		c.Limits.ServerConnections = map[string]int{"a": 1}
		c.Limits.QueueTimeout = 20 * time.Millisecond
	})
	c := bed.client()
	_, err := bed.connect()
	wantCode(t, err, erConCount, "08004")
	c.must("DO 1")
	_ = c.conn.Close()
	bed.settled()
}

func TestStormOfLoginsIsSmoothed(t *testing.T) {
	bed := newTestbed(t, func(c *Config) { c.Limits.Logins = 2 })
	q := bed.cluster.quotas["a"]
	done := make(chan error)
	const clients = 40
	for range clients {
		go func() {
			conn, err := bed.connect()
			if err == nil {
				err = conn.Close()
			}
			done <- err
		}()
	}
	for range clients {
		if held, _ := q.logins.count(); held > 2 {
			t.Errorf("%d logins at a time", held)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	bed.settled()
}

func TestUserLimit(t *testing.T) {
	bed := newTestbed(t, func(c *Config) { c.Listeners[0].MaxUserConnections = 2 })
	first := bed.client()
	bed.client()
	_, err := bed.connect()
	wantCode(t, err, erUserLimit, "42000")
	if me := (*mysql.MySQLError)(nil); errors.As(err, &me) && me.Message != "User app already has more than 'max_user_connections' active connections" {
		t.Errorf("not the servers' words: %s", me.Message)
	}
	_ = first.conn.Close()
	bed.eventually("a place is free", func() bool { return bed.cluster.Count() == 1 })
	bed.client()
}

// Rebuilds wait for their turn, and none is turned away.
func TestRebuildsWaitForTheirTurn(t *testing.T) {
	bed := newTestbed(t, func(c *Config) { c.Limits.Logins, c.Limits.Queue = 1, 1 })
	clients := make([]*client, 20)
	for i := range clients {
		clients[i] = bed.client()
		clients[i].must("DO 1")
	}
	bed.move()
	bed.eventually("all have left a", func() bool { return bed.cluster.SessionsOn("a") == 0 })
	done := make(chan error)
	for _, c := range clients {
		go func() { done <- c.exec("DO 2") }()
	}
	for range clients {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := bed.b.Heard("DO 2"); n != len(clients) {
		t.Errorf("b heard %d statements", n)
	}
}

// A rebuild for which there is no place is no sign that the server cannot be reached.
func TestNoPlaceOnTheNewPrimary(t *testing.T) {
	registry := prometheus.NewRegistry()
	bed := newTestbed(t, func(c *Config) {
		c.Limits.ServerConnections = map[string]int{"b": 1}
		c.HoldTimeout, c.Metrics = 200*time.Millisecond, NewMetrics(registry, "test")
	})
	first, second := bed.client(), bed.client()
	bed.move()
	first.must("INSERT 1")
	wantCode(t, second.exec("INSERT 2"), erConCount, "08004")
	get := scrape(t, registry)
	if get(`onewriter_session_moves_total{cluster="test",outcome="crowded"}`) != 1 || get(`onewriter_session_moves_total{cluster="test",outcome="unreachable"}`) != 0 {
		t.Error("not counted as one without a place")
	}
	if bed.b.Heard("INSERT 2") != 0 {
		t.Error("a refused statement was sent")
	}
}

// KILL QUERY ends the wait for a place.
func TestKillOfAWaitForAPlace(t *testing.T) {
	bed := newTestbed(t, func(c *Config) {
		c.Limits.ServerConnections = map[string]int{"b": 1}
		c.HoldTimeout = time.Minute
	})
	first, second := bed.client(), bed.client()
	bed.move()
	first.must("INSERT 1")
	done := make(chan error, 1)
	go func() { done <- second.exec("INSERT 2") }()
	q := bed.cluster.quotas["b"]
	bed.eventually("the second one waits", func() bool { _, n := q.connections.count(); return n == 1 })
	bed.cluster.each(func(s *clientSession) { s.interrupt(errInterrupted()) })
	wantCode(t, <-done, erInterrupted, "70100")
	_ = first.conn.Close()
	second.must("INSERT 3")
	if bed.b.Heard("INSERT 2") != 0 {
		t.Error("a statement that was killed was sent")
	}
}

// Idle sessions leave the old primary when the clients that wait have been let go, and not before.
func TestIdleSessionsLeaveAfterThePause(t *testing.T) {
	bed := newTestbed(t, nil)
	clients := make([]*client, 2*leaveBatch+1) // more than one batch
	for i := range clients {
		clients[i] = bed.client()
		clients[i].must("DO 1") // its login has come to its end
	}
	bed.cluster.Hold("test")
	bed.move()
	time.Sleep(4 * leavePause)
	if n := bed.cluster.SessionsOn("a"); n != len(clients) {
		t.Errorf("%d of %d sessions are left on a while clients wait", n, len(clients))
	}
	bed.cluster.Resume()
	bed.eventually("all have left a", func() bool { return bed.cluster.SessionsOn("a") == 0 })
	if n := bed.cluster.SessionsOn("b"); n != 0 {
		t.Errorf("%d sessions were rebuilt before their next command", n)
	}
	clients[0].wantAt("b")
}

// While clients wait, connections are made ahead to the server that may be the next; the sessions use these.
func TestWarmConnections(t *testing.T) {
	bed := newTestbed(t, nil)
	clients := make([]*client, 5)
	for i := range clients {
		clients[i] = bed.client()
		clients[i].must("DO 1")
	}
	bed.cluster.Hold("test")
	bed.eventually("b has connections", func() bool { return bed.b.Conns() == len(clients) })
	bed.move()
	bed.cluster.Resume()
	for _, c := range clients {
		c.wantAt("b")
	}
	if n := bed.b.Conns(); n != len(clients) {
		t.Errorf("b has %d connections for %d sessions", n, len(clients))
	}
}
