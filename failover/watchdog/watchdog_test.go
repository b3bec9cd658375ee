package watchdog

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/topology"
)

const ttl = 2 * time.Second

// rig is a pair with a renewer that has no primary yet.
type rig struct {
	t       *testing.T
	pair    *mysqltest.Pair
	renewer *Renewer
	stop    func() // ends Run and waits for it
}

func onPairs(t *testing.T, test func(*rig)) {
	t.Helper()
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		t.Run(f.String(), func(t *testing.T) {
			mysqltest.RequireFlavor(t, f)
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			p, err := mysqltest.StartPair(ctx, mysqltest.PairOptions{Flavor: f, Fast: true, Config: map[string]string{"event-scheduler": "ON"}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Close() })
			r := &rig{t: t, pair: p}
			for _, statement := range flavor.SchemaSQL() {
				r.on(0, statement)
			}
			r.start()
			test(r)
		})
	}
}

// start runs a new renewer.
func (r *rig) start() {
	r.t.Helper()
	var err error
	r.renewer, err = NewRenewer(Config{TTL: ttl, Holder: "test", Connect: connect, Logger: zerolog.New(zerolog.NewTestWriter(r.t))})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.renewer.Run(ctx) }()
	stopped := false
	r.stop = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-ended; err != nil {
				r.t.Logf("Run: %v", err)
			}
		}
	}
	r.t.Cleanup(r.stop)
}

func connect(i topology.Instance) (*sql.DB, error) {
	return flavor.Open(i.Address, flavor.Login{User: mysqltest.ControlUser, Password: mysqltest.ControlPassword})
}

func (r *rig) instance(i int) topology.Instance {
	return topology.Instance{Name: string(rune('a' + i)), Address: r.pair.Servers[i].Addr()}
}

// on runs a statement as root.
func (r *rig) on(i int, statement string) {
	r.t.Helper()
	if _, err := r.pair.Servers[i].DB().Exec(statement); err != nil {
		r.t.Fatalf("%s on %s: %v", statement, r.instance(i).Name, err)
	}
}

func (r *rig) closed(i int) bool {
	r.t.Helper()
	name := "read_only"
	if r.pair.Servers[i].Flavor == mysqltest.MySQL {
		name = "super_read_only"
	}
	var on bool
	for try := 0; ; try++ {
		err := r.pair.Servers[i].DB().QueryRow("SELECT @@global." + name).Scan(&on)
		if err == nil {
			return on
		}
		if try == 3 { // the watchdog has ended root's session
			r.t.Fatalf("ask %s: %v", r.instance(i).Name, err)
		}
	}
}

// closesWithin waits until server i has closed itself and gives how long it took.
func (r *rig) closesWithin(i int, limit time.Duration) time.Duration {
	r.t.Helper()
	begun := time.Now()
	for !r.closed(i) {
		if time.Since(begun) > limit {
			r.t.Fatalf("%s has not closed itself after %s; %s", r.instance(i).Name, limit, r.describe(i))
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(begun)
}

// staysOpen fails when server i closes itself within d.
func (r *rig) staysOpen(i int, d time.Duration) {
	r.t.Helper()
	for begun := time.Now(); time.Since(begun) < d; time.Sleep(50 * time.Millisecond) {
		if r.closed(i) {
			r.t.Fatalf("%s closed itself after %s; %s", r.instance(i).Name, time.Since(begun), r.describe(i))
		}
	}
}

// knowsOff: the flags as the servers print them, those of MariaDB 12 as well.
func (r *rig) knowsOff() {
	r.t.Helper()
	for value, want := range map[string]bool{"0": true, "'OFF'": true, "1": false, "'ON'": false, "'NO_LOCK'": false, "'NO_LOCK_NO_ADMIN'": false} {
		var got bool
		if err := r.pair.Servers[0].DB().QueryRow("SELECT " + off(value)).Scan(&got); err != nil || got != want {
			r.t.Errorf("a flag that is %s counts as off: %t, %v", value, got, err)
		}
	}
}

// describe tells the lease and the event of server i.
func (r *rig) describe(i int) string {
	lease, err1 := r.pair.Servers[i].Row(context.Background(), "SELECT *, "+clock+" AS now FROM "+table)
	event, err2 := r.pair.Servers[i].Row(context.Background(), "SELECT status, last_executed, definer FROM information_schema.events WHERE event_schema = 'onewriter'")
	return fmt.Sprint("lease ", lease, err1, " event ", event, err2)
}

// armed makes server i the primary and waits until its watchdog works.
func (r *rig) armed(i int) {
	r.t.Helper()
	r.renewer.SetPrimary(topology.Primary{Instance: r.instance(i), Epoch: 1})
	for begun := time.Now(); r.renewer.Renewed(r.instance(i).Name).IsZero(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			r.t.Fatalf("the watchdog of %s does not work; %s", r.instance(i).Name, r.describe(i))
		}
	}
}

// status is the event's state on server i.
func (r *rig) status(i int) string {
	r.t.Helper()
	row, err := r.pair.Servers[i].Row(context.Background(), "SELECT status AS s FROM information_schema.events WHERE event_schema = 'onewriter'")
	if err != nil {
		r.t.Fatal(err)
	}
	return row["s"]
}

// session is a connection of its own; the table app.t has one row to fight for.
func (r *rig) session(user, password string) *sql.Conn {
	r.t.Helper()
	db, err := sql.Open("mysql", r.pair.Servers[0].DSN(user, password, "app"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = db.Close() })
	conn, err := db.Conn(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return conn
}

func (r *rig) exec(conn *sql.Conn, statement string) {
	r.t.Helper()
	if _, err := conn.ExecContext(context.Background(), statement); err != nil {
		r.t.Fatalf("%s: %v", statement, err)
	}
}

// A primary that is renewed stays open. One that is not closes itself, whatever its clients hold: a chain of row
// locks, table locks, and a transaction of an account that may write in spite of read_only.
func TestClosesItselfOnlyWithoutRenewals(t *testing.T) {
	onPairs(t, func(r *rig) {
		r.on(0, "CREATE TABLE app.t (id INT PRIMARY KEY, n INT) ENGINE=InnoDB")
		r.on(0, "CREATE TABLE app.u (id INT PRIMARY KEY, n INT) ENGINE=InnoDB")
		r.on(0, "INSERT INTO app.t VALUES (1, 0)")
		r.armed(0)
		r.staysOpen(0, 2*ttl)
		if r.renewer.Renewals() < 4 {
			r.t.Errorf("%d renewals", r.renewer.Renewals())
		}
		super := r.session("root", mysqltest.RootPassword)
		r.exec(super, "BEGIN")
		r.exec(super, "INSERT INTO app.t VALUES (2, 0)")
		t1, t2, holder := r.session(mysqltest.AppUser, mysqltest.AppPassword), r.session(mysqltest.AppUser, mysqltest.AppPassword), r.session(mysqltest.AppUser, mysqltest.AppPassword)
		r.exec(t1, "BEGIN")
		r.exec(t1, "UPDATE t SET n = 1 WHERE id = 1")
		ended := make(chan error, 1)
		go func() {
			_, err := t2.ExecContext(context.Background(), "UPDATE t SET n = 2 WHERE id = 1")
			ended <- err
		}()
		r.exec(holder, "LOCK TABLES u WRITE")
		time.Sleep(100 * time.Millisecond)
		r.renewer.SetPrimary(topology.Primary{})
		last := r.renewer.Renewed("a")
		// Another server was promoted meanwhile, and we hear of it because only the proxy cannot reach us.
		r.on(0, "INSERT INTO onewriter.epoch VALUES (9, 'b', @@server_id + 1, UTC_TIMESTAMP(6), 'test')")
		r.closesWithin(0, time.Until(last.Add(ClosedAfter(ttl))))
		took := time.Since(last)
		r.t.Logf("closed %s after the last renewal of a lease of %s", took.Round(time.Millisecond), ttl)
		if took < ttl-100*time.Millisecond {
			r.t.Errorf("closed after %s although the lease was for %s", took, ttl)
		}
		<-ended
		time.Sleep(300 * time.Millisecond) // the second round of ending sessions
		if _, err := super.ExecContext(context.Background(), "COMMIT"); err == nil {
			r.t.Error("a privileged transaction was committed after the server closed itself")
		}
		if s := r.status(1); s == "ENABLED" {
			r.t.Errorf("the event is enabled on the standby")
		}
	})
}

// await waits until server i has the newest epoch row.
func (r *rig) await(i, epoch int) {
	r.t.Helper()
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		var n int
		err := r.pair.Servers[i].DB().QueryRow("SELECT COALESCE(MAX(epoch), 0) FROM onewriter.epoch").Scan(&n)
		if err == nil && n == epoch {
			return
		}
		if time.Since(begun) > 10*time.Second {
			r.t.Fatalf("%s has epoch %d, want %d: %v", r.instance(i).Name, n, epoch, err)
		}
	}
}

// catchUp waits until server to has all transactions of server from, which must be closed: opened earlier, it would give
// their numbers to transactions of its own.
func (r *rig) catchUp(from, to int) {
	r.t.Helper()
	query := "SELECT @@global.gtid_executed"
	if r.pair.Servers[from].Flavor == mysqltest.MariaDB {
		query = "SELECT @@global.gtid_current_pos"
	}
	position := func(i int) (p string) {
		if err := r.pair.Servers[i].DB().QueryRow(query).Scan(&p); err != nil {
			r.t.Fatalf("%s on %s: %v", query, r.instance(i).Name, err)
		}
		return p
	}
	want := position(from)
	for begun := time.Now(); position(to) != want; time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			r.t.Fatalf("%s is at %s, %s at %s", r.instance(to).Name, position(to), r.instance(from).Name, want)
		}
	}
}

// switchTo moves the role as a switchover does.
func (r *rig) switchTo(from, to, epoch int) {
	r.t.Helper()
	ctx := context.Background()
	if err := r.renewer.Disarm(ctx); err != nil {
		r.t.Fatal(err)
	}
	r.renewer.SetPrimary(topology.Primary{})
	if err := r.pair.Servers[from].SetReadOnly(ctx, true); err != nil {
		r.t.Fatal(err)
	}
	r.catchUp(from, to)
	r.open(to, epoch)
	r.renewer.SetPrimary(topology.Primary{Instance: r.instance(to), Epoch: topology.Epoch(epoch)})
}

// open opens server i as a promotion does.
func (r *rig) open(i, epoch int) {
	r.t.Helper()
	if err := r.pair.Servers[i].SetReadOnly(context.Background(), false); err != nil {
		r.t.Fatal(err)
	}
	r.on(i, fmt.Sprintf("INSERT INTO onewriter.epoch VALUES (%d, '%s', @@server_id, UTC_TIMESTAMP(6), 'test')", epoch, r.instance(i).Name))
}

// The watchdog follows the role; leases of an earlier time close nobody.
func TestSwitchoverDoesNotTrip(t *testing.T) {
	onPairs(t, func(r *rig) {
		r.on(0, "INSERT INTO onewriter.epoch VALUES (1, 'a', @@server_id, UTC_TIMESTAMP(6), 'test')")
		r.armed(0)
		r.await(1, 1)
		r.switchTo(0, 1, 2)
		r.armed(1)
		r.await(0, 2)
		r.staysOpen(1, ttl+time.Second)
		if a, b := r.status(0), r.status(1); a == "ENABLED" || b != "ENABLED" {
			r.t.Errorf("the event is %s on the standby and %s on the primary", a, b)
		}
		// Back without a Disarm: the old lease of a is active and has run out long ago.
		r.renewer.SetPrimary(topology.Primary{})
		r.on(1, "UPDATE onewriter.lease SET active = TRUE, expires = 1")
		r.on(1, "UPDATE onewriter.epoch SET decider = 'later' WHERE epoch = 2")
		if err := r.pair.Servers[1].SetReadOnly(context.Background(), true); err != nil {
			r.t.Fatal(err)
		}
		r.awaitDecider(0, "later")
		r.catchUp(1, 0)
		r.open(0, 3)
		db, err := connect(r.instance(0))
		if err != nil {
			r.t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		d, err := flavor.Detect(context.Background(), db)
		if err != nil {
			r.t.Fatal(err)
		}
		if err := Install(context.Background(), db, d); err != nil {
			r.t.Fatal(err)
		}
		if s := r.status(0); s != "ENABLED" {
			r.t.Errorf("the event is %s after Install", s)
		}
		r.staysOpen(0, 3*time.Second)
	})
}

func (r *rig) awaitDecider(i int, want string) {
	r.t.Helper()
	for begun := time.Now(); time.Since(begun) < 10*time.Second; time.Sleep(10 * time.Millisecond) {
		var got string
		if err := r.pair.Servers[i].DB().QueryRow("SELECT decider FROM onewriter.epoch WHERE epoch = 2").Scan(&got); err == nil && got == want {
			return
		}
	}
	r.t.Fatalf("%s does not get the change", r.instance(i).Name)
}

// Ending in order leaves the primary open; a server that restarts with a lease that ran out closes itself, and one
// that is renewed in time does not.
func TestRestarts(t *testing.T) {
	onPairs(t, func(r *rig) {
		ctx := context.Background()
		r.armed(0)
		r.stop()
		r.staysOpen(0, ttl+2*time.Second)
		r.start()
		r.armed(0)
		if err := r.pair.Servers[0].Restart(ctx, nil); err != nil {
			r.t.Fatal(err)
		}
		r.staysOpen(0, ttl+2*time.Second)
		r.armed(0)
		r.renewer.SetPrimary(topology.Primary{})
		r.pair.Servers[0].Kill9()
		time.Sleep(ttl)
		if err := r.pair.Servers[0].Restart(ctx, nil); err != nil {
			r.t.Fatal(err)
		}
		took := r.closesWithin(0, 5*time.Second)
		r.t.Logf("closed %s after the restart", took.Round(time.Millisecond))
	})
}

// What was renewed in an earlier reign of a server does not vouch for it in the next.
func TestNewReignStartsAnew(t *testing.T) {
	r, err := NewRenewer(Config{TTL: ttl, Holder: "test", Connect: connect})
	if err != nil {
		t.Fatal(err)
	}
	a := topology.Primary{Instance: topology.Instance{Name: "a", Address: "127.0.0.1:1"}}
	r.SetPrimary(a)
	r.setRenewed("a", time.Now())
	r.SetPrimary(topology.Primary{})
	if r.Renewed("a").IsZero() {
		t.Error("the last renewal is forgotten when it is needed")
	}
	r.SetPrimary(a)
	if !r.Renewed("a").IsZero() {
		t.Error("an old renewal vouches for a new reign")
	}
}

// A server whose scheduler is off gives no proof.
func TestVouchesOnlyForAnEventThatRuns(t *testing.T) {
	onPairs(t, func(r *rig) {
		r.knowsOff()
		r.armed(0)
		r.on(0, "SET GLOBAL event_scheduler = OFF")
		for begun := time.Now(); !r.renewer.Renewed("a").IsZero(); time.Sleep(50 * time.Millisecond) {
			if time.Since(begun) > 10*time.Second {
				r.t.Fatal("it still vouches for a server whose scheduler is off")
			}
		}
		r.on(0, "SET GLOBAL event_scheduler = ON")
		r.armed(0)
	})
}
