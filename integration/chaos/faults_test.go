package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/faultnet"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// fault is one kind of thing that is done to a cluster. do does it and undoes it; p is the primary, s a standby.
type fault struct {
	name   string
	weight int
	marks  Fault // what the checker must know of it
	do     func(r *rig, rng *rand.Rand, p, s int) error
}

// lasting gives a duration in a range.
func lasting(rng *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(rng.Int64N(int64(to-from)))
}

// rest is how long a fault lasts; cancelled tests are not waited for.
func (r *rig) rest(d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.t.Context().Done():
	}
}

var (
	harmless = Fault{Harmless: true}
	zombie   = Fault{Zombie: true}
)

// faults is all that the schedule may choose.
var faults = []fault{
	{"kill -9 the primary", 4, Fault{}, killPrimary},
	{"kill -9 the standby", 1, harmless, killStandby},
	{"kill -9 the primary, and the next one", 2, Fault{}, killNext},
	{"stop the primary in order", 1, Fault{}, stopPrimary},
	{"pause the primary", 2, zombie, pausePrimary},
	{"pause the primary for 1.5 s", 2, harmless, stallPrimary},
	{"pause the standby", 1, harmless, pauseStandby},
	{"cut proxy and primary", 2, harmless, cutProxy},
	{"reject proxy at the primary", 2, harmless, rejectProxy},
	{"cut primary and standby", 1, harmless, cutServers},
	{"isolate the primary", 2, zombie, isolatePrimary},
	{"stall all links for 1.5 s", 1, harmless, stallLinks},
	{"slow and fragmented links", 1, harmless, slowLinks},
	{"too many connections", 1, harmless, tooMany},
	{"bad replication password", 1, harmless, badPassword},
	{"a lock on the standby", 1, harmless, lockStandby},
	{"kill -9 onewriter", 2, harmless, killProgram},
	{"kill -9 onewriter amid a failover", 2, Fault{}, killBoth},
	{"switchover", 4, Fault{Planned: true}, switchover},
	{"kill -9 the primary amid a switchover", 2, Fault{}, killAmidSwitchover},
	{"kill -9 onewriter amid a switchover", 1, Fault{Planned: true}, killProgramAmidSwitchover},
}

func (r *rig) restart(server int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	return r.pair.Servers[server].Restart(ctx, nil)
}

// isCode tells whether err is the server error with that number.
func isCode(err error, code uint16) bool {
	me := (*mysql.MySQLError)(nil)
	return errors.As(err, &me) && me.Number == code
}

func killPrimary(r *rig, rng *rand.Rand, p, _ int) error {
	r.pair.Servers[p].Kill9()
	r.rest(lasting(rng, 0, 5*time.Second))
	return r.restart(p)
}

// killNext ends the primary, and the one that takes over while the first one comes back.
func killNext(r *rig, rng *rand.Rand, p, s int) error {
	r.pair.Servers[p].Kill9()
	r.rest(lasting(rng, 0, 3*time.Second))
	first := r.restart(p)
	r.rest(lasting(rng, 0, time.Second))
	r.pair.Servers[s].Kill9()
	r.rest(lasting(rng, 0, 2*time.Second))
	return errors.Join(first, r.restart(s))
}

func killStandby(r *rig, rng *rand.Rand, _, s int) error {
	r.pair.Servers[s].Kill9()
	r.rest(lasting(rng, 0, 3*time.Second))
	return r.restart(s)
}

func stopPrimary(r *rig, _ *rand.Rand, p, _ int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.pair.Servers[p].Stop(ctx); err != nil {
		return err
	}
	r.rest(time.Second)
	return r.restart(p)
}

func pausePrimary(r *rig, rng *rand.Rand, p, _ int) error {
	return r.pause(p, lasting(rng, 500*time.Millisecond, 8*time.Second))
}

func stallPrimary(r *rig, _ *rand.Rand, p, _ int) error { return r.pause(p, 1500*time.Millisecond) }

func pauseStandby(r *rig, rng *rand.Rand, _, s int) error {
	return r.pause(s, lasting(rng, 500*time.Millisecond, 6*time.Second))
}

func (r *rig) pause(server int, d time.Duration) error {
	r.hide(server, true)
	r.pair.Servers[server].Pause()
	r.rest(d)
	r.pair.Servers[server].Continue()
	r.hide(server, false)
	return nil
}

func cutProxy(r *rig, rng *rand.Rand, p, _ int) error {
	return r.sever((*faultnet.Link).Cut, lasting(rng, time.Second, 7*time.Second), r.link(proxyEnd, p))
}

func rejectProxy(r *rig, rng *rand.Rand, p, _ int) error {
	return r.sever((*faultnet.Link).Reject, lasting(rng, time.Second, 7*time.Second), r.link(proxyEnd, p))
}

func cutServers(r *rig, rng *rand.Rand, p, s int) error {
	return r.sever((*faultnet.Link).Cut, lasting(rng, time.Second, 8*time.Second), r.between(p, s)...)
}

func isolatePrimary(r *rig, rng *rand.Rand, p, _ int) error {
	links := append(r.around(p), r.link(proxyEnd, p))
	return r.sever((*faultnet.Link).Cut, lasting(rng, time.Second, 9*time.Second), links...)
}

// sever does something to links and heals them later.
func (r *rig) sever(how func(*faultnet.Link), d time.Duration, links ...*faultnet.Link) error {
	for _, l := range links {
		how(l)
	}
	r.rest(d)
	for _, l := range links {
		l.Heal()
	}
	return nil
}

func (r *rig) allLinks() []*faultnet.Link {
	r.linksMu.Lock()
	defer r.linksMu.Unlock()
	var out []*faultnet.Link
	for _, l := range r.links {
		out = append(out, l)
	}
	return out
}

func stallLinks(r *rig, _ *rand.Rand, _, _ int) error {
	for _, l := range r.allLinks() {
		l.Stall(1500 * time.Millisecond)
	}
	r.rest(1500 * time.Millisecond)
	return nil
}

func slowLinks(r *rig, rng *rand.Rand, _, _ int) error {
	delay := lasting(rng, time.Millisecond, 50*time.Millisecond)
	for _, l := range r.allLinks() {
		l.Delay(delay)
		l.Fragment(true)
	}
	r.rest(lasting(rng, time.Second, 4*time.Second))
	for _, l := range r.allLinks() {
		l.Delay(0)
		l.Fragment(false)
	}
	return nil
}

// tooMany takes all connections that the primary allows.
func tooMany(r *rig, rng *rand.Rand, p, _ int) error {
	server := r.pair.Servers[p]
	row, err := server.Row(context.Background(), "SELECT @@global.max_connections AS n")
	if err != nil {
		return err
	}
	db, err := sql.Open("mysql", server.DSN(mysqltest.AppUser, mysqltest.AppPassword, "app"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := r.exec(p, "SET GLOBAL max_connections = 60"); err != nil {
		return err
	}
	full := errors.New("no limit")
	for range 80 {
		conn, err := db.Conn(context.Background())
		if err != nil {
			full = err
			break
		}
		defer func() { _ = conn.Close() }()
	}
	r.rest(lasting(rng, 2*time.Second, 5*time.Second))
	n, err := strconv.Atoi(row["n"])
	if err == nil {
		err = r.exec(p, fmt.Sprintf("SET GLOBAL max_connections = %d", n))
	}
	if err == nil && !isCode(full, 1040) {
		err = fmt.Errorf("the server was never full: %w", full)
	}
	return err
}

// badPassword changes the replication account's password on the primary alone and breaks the replication connection.
func badPassword(r *rig, rng *rand.Rand, p, _ int) error {
	set := func(password string) []string {
		return []string{"SET SESSION sql_log_bin=0", "ALTER USER '" + mysqltest.ReplicationUser + "'@'%' IDENTIFIED BY '" + password + "'"}
	}
	if err := r.exec(p, set("wrong")...); err != nil {
		return err
	}
	if err := r.killDumps(p); err != nil {
		return err
	}
	r.rest(lasting(rng, 2*time.Second, 5*time.Second))
	return r.exec(p, set(mysqltest.ReplicationPassword)...)
}

// killDumps ends the connections of replicas.
func (r *rig) killDumps(server int) error {
	var ids []int64
	err := each(context.Background(), r.pair.Servers[server].DB(), "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'", func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err == nil && len(ids) == 0 {
		err = errors.New("no replica is connected")
	}
	for _, id := range ids {
		err = errors.Join(err, r.exec(server, fmt.Sprintf("KILL %d", id)))
	}
	return err
}

// lockStandby keeps the standby from applying anything, as a backup does.
func lockStandby(r *rig, rng *rand.Rand, _, s int) error {
	conn, err := r.pair.Servers[s].DB().Conn(context.Background())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(context.Background(), "FLUSH TABLES app.writes WITH READ LOCK"); err != nil {
		return err
	}
	r.rest(lasting(rng, time.Second, 5*time.Second))
	_, err = conn.ExecContext(context.Background(), "UNLOCK TABLES")
	return err
}

func killProgram(r *rig, rng *rand.Rand, _, _ int) error {
	r.prog.kill()
	r.rest(lasting(rng, 0, 2*time.Second))
	r.prog.start()
	return nil
}

// killBoth ends the primary, and the program at any moment of its answer to that.
func killBoth(r *rig, rng *rand.Rand, p, _ int) error {
	r.pair.Servers[p].Kill9()
	r.rest(lasting(rng, 0, 1500*time.Millisecond))
	r.prog.kill()
	r.rest(lasting(rng, 0, time.Second))
	r.prog.start()
	r.rest(lasting(rng, 0, 3*time.Second))
	return r.restart(p)
}

// switchover moves the role. A standby that still catches up is waited for.
func switchover(r *rig, _ *rand.Rand, _, s int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	defer r.slowDown()()
	for tries := 0; ; tries++ {
		_, err := r.prog.switchover(ctx, serverName(s))
		if err == nil || tries == 80 || !strings.Contains(err.Error(), "behind") {
			return err
		}
		r.rest(500 * time.Millisecond)
	}
}

// amid does something at a moment of a switchover, whose success does not matter then.
func (r *rig) amid(rng *rand.Rand, s int, do func()) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		_, err := r.prog.switchover(ctx, serverName(s))
		r.t.Logf("at %s: the disturbed switchover: %v", r.now().Round(time.Millisecond), err)
	}()
	r.rest(lasting(rng, 0, 60*time.Millisecond))
	do()
	<-asked
}

func killAmidSwitchover(r *rig, rng *rand.Rand, p, s int) error {
	r.amid(rng, s, r.pair.Servers[p].Kill9)
	r.rest(lasting(rng, 0, 3*time.Second))
	return r.restart(p)
}

func killProgramAmidSwitchover(r *rig, rng *rand.Rand, _, s int) error {
	r.amid(rng, s, r.prog.kill)
	r.rest(lasting(rng, 0, time.Second))
	r.prog.start()
	return nil
}
