package proxy

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/internal/wiretest"
	"github.com/onewriter/onewriter/topology"
)

// patience bounds every wait of these tests.
const patience = 5 * time.Second

// testbed is a Cluster before two scripted servers, of which a is the primary.
type testbed struct {
	t       *testing.T
	cluster *Cluster
	a, b    *wiretest.Server
	stop    func() // as at SIGTERM, with a grace of 200 ms
}

// testKeys are made once: an RSA key takes its time.
var testKeys = sync.OnceValues(auth.NewKeys)

func newTestbed(t *testing.T, change func(*Config)) *testbed {
	t.Helper()
	bed := &testbed{t: t, a: wiretest.Start(t, "a"), b: wiretest.Start(t, "b")}
	keys, err := testKeys()
	if err != nil {
		t.Fatal(err)
	}
	authenticator, err := auth.New(auth.Config{
		Keys: keys, Explicit: map[string]auth.Secret{"app": auth.NewPassword([]byte("secret"))}, Logger: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	dialer := backend.New(backend.Config{Logger: zerolog.Nop()})
	c := Config{
		Name: "test", Servers: []topology.Instance{bed.server(bed.a), bed.server(bed.b)}, Authenticator: authenticator, Dialer: dialer,
		Listeners: []ListenerConfig{{Address: "127.0.0.1:0"}}, HoldTimeout: patience, ConnectTimeout: patience, HandshakeTimeout: patience,
		Metrics: NewMetrics(prometheus.NewRegistry(), "test"), Logger: zerolog.Nop(),
	}
	if change != nil {
		change(&c)
	}
	if bed.cluster, err = NewCluster(c); err != nil {
		t.Fatal(err)
	}
	bed.cluster.Publish(topology.Primary{Instance: bed.server(bed.a), Epoch: 1})
	bed.run(dialer)
	return bed
}

// run serves the cluster until the test ends or stop is called, and checks that nothing is left running.
func (b *testbed) run(dialer *backend.Dialer) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.cluster.Run(ctx, 200*time.Millisecond) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				b.t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			b.t.Error("Run does not end")
		}
		dialer.Close()
	})
	b.t.Cleanup(func() {
		b.stop()
		b.a.Close()
		b.b.Close()
		goleak.VerifyNone(b.t)
	})
}

func (b *testbed) server(s *wiretest.Server) topology.Instance {
	return topology.Instance{Name: s.Name, Address: s.Addr()}
}

func (b *testbed) addr() string { return b.cluster.Listeners()[0].Addr().String() }

// move publishes b as the primary of epoch 2.
func (b *testbed) move() { b.cluster.Publish(topology.Primary{Instance: b.server(b.b), Epoch: 2}) }

// eventually waits for a condition.
func (b *testbed) eventually(what string, ok func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("not in time: %s", what)
		}
	}
}

// client is one client connection.
type client struct {
	t    *testing.T
	conn driver.Conn
}

func (b *testbed) connect() (driver.Conn, error) { return b.connectTo(0) }

// connectTo connects to one of the listeners.
func (b *testbed) connectTo(listener int, options ...func(*mysql.Config)) (driver.Conn, error) {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName = "app", "secret", "tcp", b.cluster.Listeners()[listener].Addr().String(), "app"
	c.Logger = &mysql.NopLogger{}
	c.ReadTimeout, c.CheckConnLiveness = 2*patience, false
	for _, change := range options {
		change(c)
	}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	return connector.Connect(ctx)
}

func (b *testbed) client() *client {
	b.t.Helper()
	return b.clientAt(0)
}

func (b *testbed) clientAt(listener int, options ...func(*mysql.Config)) *client {
	b.t.Helper()
	conn, err := b.connectTo(listener, options...)
	if err != nil {
		b.t.Fatal(err)
	}
	c := &client{t: b.t, conn: conn}
	b.t.Cleanup(func() { _ = conn.Close() })
	return c
}

func (c *client) exec(sql string) error {
	_, err := c.conn.(driver.ExecerContext).ExecContext(context.Background(), sql, nil)
	return err
}

func (c *client) must(sql string) {
	c.t.Helper()
	if err := c.exec(sql); err != nil {
		c.t.Fatalf("%s: %v", sql, err)
	}
}

// where asks for the name of the server.
func (c *client) where() (string, error) {
	rows, err := c.conn.(driver.QueryerContext).QueryContext(context.Background(), "SELECT name", nil)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	dest := make([]driver.Value, 1)
	if err := rows.Next(dest); err != nil {
		return "", err
	}
	name := string(dest[0].([]byte))
	if err := rows.Next(dest); !errors.Is(err, io.EOF) {
		return "", errors.Join(errors.New("result set without end"), err)
	}
	return name, nil
}

func (c *client) wantAt(name string) {
	c.t.Helper()
	if got, err := c.where(); err != nil || got != name {
		c.t.Fatalf("at %q, %v; want %q", got, err, name)
	}
}

// wantCode checks a refusal.
func wantCode(t *testing.T, err error, code uint16, state string) {
	t.Helper()
	var me *mysql.MySQLError
	if !errors.As(err, &me) || me.Number != code || string(me.SQLState[:]) != state {
		t.Fatalf("got %v, want %d (%s)", err, code, state)
	}
}

// wantClosed checks that the client's connection has come to its end.
func (c *client) wantClosed() {
	c.t.Helper()
	if err := c.exec("DO 1"); err == nil || errors.As(err, new(*mysql.MySQLError)) {
		c.t.Fatalf("the session lives on: %v", err)
	}
}

func TestStatementsReachThePrimary(t *testing.T) {
	bed := newTestbed(t, nil)
	c := bed.client()
	c.wantAt("a")
	bed.move()
	bed.eventually("the idle session leaves a", func() bool { return bed.cluster.SessionsOn("a") == 0 })
	c.wantAt("b")
	if bed.a.Heard("SELECT name") != 1 {
		t.Error("a was asked again")
	}
}

func TestHeldStatementRunsOnTheNewPrimary(t *testing.T) {
	bed := newTestbed(t, nil)
	c := bed.client()
	c.must("INSERT 1")
	bed.cluster.Hold("test")
	if open := bed.cluster.Drain(t.Context()); open != 0 {
		t.Fatalf("%d open", open)
	}
	done := make(chan error, 1)
	go func() { done <- c.exec("INSERT 2") }()
	bed.eventually("the client waits", func() bool { return bed.cluster.Held() == 1 })
	time.Sleep(20 * time.Millisecond)
	bed.move()
	report := bed.cluster.Resume()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if bed.a.Heard("INSERT 2") != 0 || bed.b.Heard("INSERT 2") != 1 {
		t.Error("the held statement did not go to b alone")
	}
	if report.Moved != 1 || len(report.Closed) != 0 || report.LongestHold < 20*time.Millisecond {
		t.Errorf("report %+v", report)
	}
}

func TestHeldTooLong(t *testing.T) {
	bed := newTestbed(t, func(c *Config) { c.HoldTimeout = 50 * time.Millisecond })
	c := bed.client()
	bed.cluster.Hold("test")
	wantCode(t, c.exec("INSERT 1"), erNoPrimary, "HY000")
	bed.cluster.Resume()
	c.must("INSERT 2")
	if bed.a.Heard("INSERT 1") != 0 {
		t.Error("a refused statement was sent")
	}
}

func TestHeldStatementOfAClientThatLeftIsNotRun(t *testing.T) {
	bed := newTestbed(t, nil)
	raw := bed.rawLogin()
	bed.cluster.Hold("test")
	if _, err := raw.Write(wire.AppendPacket(nil, 0, append([]byte{wire.ComQuery}, "INSERT 1"...))); err != nil {
		t.Fatal(err)
	}
	bed.eventually("the client waits", func() bool { return bed.cluster.Held() == 1 })
	_ = raw.Close()
	time.Sleep(20 * time.Millisecond)
	bed.cluster.Resume()
	bed.eventually("the session ends", func() bool { return bed.cluster.Count() == 0 })
	if bed.a.Heard("INSERT 1") != 0 {
		t.Error("a statement was begun that nobody waits for")
	}
}

func TestTransactionIsDrained(t *testing.T) {
	bed := newTestbed(t, nil)
	c := bed.client()
	c.must("BEGIN")
	bed.cluster.Hold("test")
	drained := make(chan int, 1)
	go func() { drained <- bed.cluster.Drain(t.Context()) }()
	c.must("INSERT 1") // an open transaction goes on
	select {
	case <-drained:
		t.Fatal("drained with an open transaction")
	default:
	}
	c.must("COMMIT")
	select {
	case open := <-drained:
		if open != 0 {
			t.Errorf("%d open", open)
		}
	case <-time.After(patience):
		t.Fatal("the drain did not notice the commit")
	}
	if closed := bed.cluster.CloseOpen(errors.New("test")); len(closed) != 0 {
		t.Errorf("closed %v", closed)
	}
	bed.move()
	bed.cluster.Resume()
	c.wantAt("b")
}

func TestCloseOpenRollsBack(t *testing.T) {
	bed := newTestbed(t, nil)
	c := bed.client()
	c.must("BEGIN")
	bed.cluster.Hold("test")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if open := bed.cluster.Drain(ctx); open != 1 {
		t.Fatalf("%d open", open)
	}
	if closed := bed.cluster.CloseOpen(errors.New("switchover")); len(closed) != 1 {
		t.Fatalf("closed %v", closed)
	}
	bed.move()
	bed.cluster.Resume()
	wantCode(t, c.exec("INSERT 1"), erLockDeadlock, "40001")
	c.wantAt("b") // it lives on
	if bed.a.Heard("INSERT 1")+bed.b.Heard("INSERT 1") != 0 {
		t.Error("a statement of the lost transaction was sent")
	}
}

func TestCloseOpenAfterCommitHarmsNobody(t *testing.T) {
	bed := newTestbed(t, nil)
	c := bed.client()
	c.must("BEGIN")
	c.must("COMMIT")
	bed.eventually("the session is idle", func() bool { return !bed.cluster.Sessions()[0].InTransaction })
	bed.cluster.each(func(s *clientSession) { s.abort(errors.New("late")) }) // as if it had been seen writing just before
	c.wantAt("a")
}

func TestCloseOpenDuringRebuild(t *testing.T) {
	defer func(d time.Duration) { abortPatience = d }(abortPatience)
	abortPatience = 500 * time.Millisecond
	bed := newTestbed(t, nil)
	c := bed.client()
	c.must("DO 1")
	bed.b.Silence("SET SESSION session_track")
	bed.move()
	done := make(chan error, 1)
	go func() { done <- c.exec("INSERT 1") }()
	bed.eventually("the session is being rebuilt", func() bool { return bed.cluster.SessionsOn("b") == 1 })
	bed.cluster.Hold("test")
	if closed := bed.cluster.CloseOpen(errors.New("switchover")); len(closed) != 1 {
		t.Fatalf("closed %v", closed)
	}
	bed.b.Silence("")
	bed.cluster.Publish(topology.Primary{Instance: bed.server(bed.a), Epoch: 3})
	bed.cluster.Resume()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if bed.a.Heard("INSERT 1") != 1 || bed.b.Heard("INSERT 1") != 0 {
		t.Error("the statement did not go to a alone")
	}
	time.Sleep(abortPatience) // which bounds nothing any more
	c.wantAt("a")
}

func TestServerDiesWhileIdle(t *testing.T) {
	bed := newTestbed(t, nil)
	c := bed.client()
	c.must("DO 1")
	bed.a.Cut()
	time.Sleep(peekAfter + 20*time.Millisecond)
	c.wantAt("a")
}

func TestServerDiesInIdleTransaction(t *testing.T) {
	bed := newTestbed(t, nil)
	c := bed.client()
	c.must("BEGIN")
	bed.a.Cut()
	time.Sleep(peekAfter + 20*time.Millisecond)
	wantCode(t, c.exec("COMMIT"), erLockDeadlock, "40001")
	c.wantAt("a")
	if bed.a.Heard("COMMIT") != 0 {
		t.Error("a commit was sent to another connection")
	}
}

func TestServerDiesWithStatementInFlight(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup []string
		sql   string
		code  uint16
		state string
		ends  bool
	}{
		{"write", nil, "INSERT INTO t VALUES (1)", erShutdown, "08S01", true},
		{"read", nil, "SELECT 2", erInterrupted, "70100", false},
		{"write in transaction", []string{"BEGIN"}, "INSERT INTO t VALUES (1)", erLockDeadlock, "40001", false},
		{"commit", []string{"BEGIN"}, "COMMIT", erShutdown, "08S01", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bed := newTestbed(t, nil)
			cl := bed.client()
			for _, sql := range c.setup {
				cl.must(sql)
			}
			bed.a.On(c.sql, wiretest.Die)
			err := cl.exec(c.sql)
			wantCode(t, err, c.code, c.state)
			if bed.a.Heard(c.sql) != 1 {
				t.Errorf("sent %d times", bed.a.Heard(c.sql))
			}
			if c.ends {
				cl.wantClosed()
			} else {
				cl.wantAt("a")
			}
		})
	}
}

func TestServerDiesInMidResult(t *testing.T) {
	bed := newTestbed(t, nil)
	c := bed.client()
	bed.a.On("SELECT name", wiretest.DieInRows)
	if _, err := c.where(); err == nil || errors.As(err, new(*mysql.MySQLError)) {
		t.Fatalf("half a result ends with %v", err)
	}
}

func TestServerSendsGarbage(t *testing.T) {
	bed := newTestbed(t, nil)
	c := bed.client()
	bed.a.On("SELECT name", wiretest.Garbage)
	_, err := c.where()
	wantCode(t, err, erInterrupted, "70100")
	bed.a.On("SELECT name", wiretest.Answer)
	c.wantAt("a")
}

func TestPinnedSessionIsClosedByMove(t *testing.T) {
	bed := newTestbed(t, nil)
	c := bed.client()
	c.must("CREATE TEMPORARY TABLE t (a INT)")
	bed.eventually("the pin is seen", func() bool { return len(bed.cluster.Sessions()[0].Pins) == 1 })
	pinned, known := bed.cluster.Pinned(), uint64(bed.known()[0][0])
	if len(pinned) != 1 || pinned[0].ID != known || !strings.Contains(pinned[0].Reason, "temporary table") {
		t.Errorf("%+v is not told before", pinned)
	}
	bed.cluster.Hold("test")
	bed.move()
	report := bed.cluster.Resume()
	if len(report.Closed) != 1 || report.Closed[0].ID != known || report.Moved != 0 {
		t.Errorf("report %+v", report)
	}
	err := c.exec("INSERT 1")
	wantCode(t, err, erShutdown, "08S01")
	if !strings.Contains(err.Error(), "temporary table") {
		t.Errorf("%v does not say why", err)
	}
	c.wantClosed()
	if bed.b.Heard("INSERT 1") != 0 {
		t.Error("it was sent all the same")
	}
}

func TestMaxConnections(t *testing.T) {
	bed := newTestbed(t, func(c *Config) { c.Listeners[0].MaxConnections = 1 })
	c := bed.client()
	_, err := bed.connect()
	var me *mysql.MySQLError
	if !errors.As(err, &me) || me.Number != erConCount {
		t.Errorf("%v", err)
	}
	_ = c.conn.Close()
	bed.eventually("the place is free", func() bool { return bed.cluster.Count() == 0 && bed.cluster.Listeners()[0].Sessions() == 0 })
	bed.client().must("DO 1")
}

func TestNobodyToWriteTo(t *testing.T) {
	bed := newTestbed(t, func(c *Config) { c.HoldTimeout = 50 * time.Millisecond })
	c := bed.client()
	bed.cluster.Publish(topology.Primary{Epoch: 2})
	wantCode(t, c.exec("INSERT 1"), erNoPrimary, "HY000")
	bed.cluster.Publish(topology.Primary{Instance: bed.server(bed.b), Epoch: 3})
	c.wantAt("b")
}

func TestServerOfOtherFeaturesIsRefused(t *testing.T) {
	bed := newTestbed(t, nil)
	bed.eventually("both servers are known", func() bool { _, ok := bed.cluster.ability("b"); return ok })
	c := bed.client()
	bed.b.Forget(wire.ClientDeprecateEOF)
	bed.b.Cut()
	bed.cluster.config.Dialer.Close() // spare connections have the old greeting
	bed.move()
	wantCode(t, c.exec("INSERT 1"), erShutdown, "08S01")
	c.wantClosed()
}

func TestHangingRebuildIsBounded(t *testing.T) {
	bed := newTestbed(t, func(c *Config) { c.ConnectTimeout, c.HoldTimeout = 100*time.Millisecond, 200*time.Millisecond })
	c := bed.client()
	bed.b.Silence("SET SESSION session_track")
	bed.move()
	wantCode(t, c.exec("INSERT 1"), erNoPrimary, "HY000")
	bed.b.Silence("")
	c.wantAt("b")
}

func TestNudgeDuringLoginDoesNotDisturb(t *testing.T) {
	bed := newTestbed(t, nil)
	conn, err := net.Dial("tcp", bed.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	pc := wire.NewPacketConn(conn)
	greeting, err := pc.ReadPacket()
	if err != nil {
		t.Fatal(err)
	}
	bed.move()
	bed.login(pc, greeting)
	bed.eventually("the session leaves a", func() bool { return bed.cluster.SessionsOn("a") == 0 })
	pc.SetSequence(0)
	if err := pc.WritePacket(append([]byte{wire.ComQuery}, "INSERT 1"...)); err != nil {
		t.Fatal(err)
	}
	if p, err := pc.ReadPacket(); err != nil || p[0] != wire.HeaderOK {
		t.Fatalf("%x, %v", p, err)
	}
	if bed.b.Heard("INSERT 1") != 1 {
		t.Error("not at the new primary")
	}
}

func TestNudgeWithinLongCommand(t *testing.T) {
	bed := newTestbed(t, nil)
	raw := bed.rawLogin()
	defer raw.Close()
	sql := "INSERT INTO t VALUES ('" + strings.Repeat("x", 2<<20) + "')"
	command := wire.AppendPacket(nil, 0, append([]byte{wire.ComQuery}, sql...))
	half := 3 * len(command) / 4
	if _, err := raw.Write(command[:half]); err != nil {
		t.Fatal(err)
	}
	bed.eventually("the command is under way", func() bool { return bed.cluster.Sessions()[0].InTransaction })
	bed.cluster.nudgeAll()
	time.Sleep(20 * time.Millisecond)
	if _, err := raw.Write(command[half:]); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 11)
	if _, err := io.ReadFull(raw, reply); err != nil || reply[4] != wire.HeaderOK {
		t.Fatalf("%x, %v", reply, err)
	}
	bed.move()
	bed.eventually("the session leaves a afterwards", func() bool { return bed.cluster.SessionsOn("a") == 0 })
}

// A role that somebody else has moved leaves no time to drain: what is open on the old primary is ended.
func TestPublishWithoutDrainEndsOpenTransactions(t *testing.T) {
	bed := newTestbed(t, nil)
	c := bed.client()
	c.must("BEGIN")
	bed.move()
	bed.eventually("the transaction's connection is closed", func() bool { return bed.cluster.SessionsOn("a") == 0 })
	wantCode(t, c.exec("INSERT 1"), erLockDeadlock, "40001")
	c.wantAt("b")
	if bed.a.Heard("INSERT 1")+bed.b.Heard("INSERT 1") != 0 {
		t.Error("a statement of the lost transaction was sent")
	}
}
