package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/internal/faultnet"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// regressions are what went wrong with real servers in the lab, each once, in this order.
var regressions = []fault{
	{"a cut link of the proxy alone", 1, harmless, ownLink((*faultnet.Link).Cut)},
	{"a rejecting link of the proxy alone", 1, harmless, ownLink((*faultnet.Link).Reject)},
	{"transactions that wait for each other behind the fence", 1, Fault{Planned: true}, fenceDeadlock},
	{"a standby that is opened", 1, Fault{Harmless: true, Zombie: true}, openStandby},
	{"a standby whose applier stopped", 1, Fault{NoCandidate: true}, brokenStandby},
	{"a standby with the server id of the primary", 1, Fault{NoCandidate: true}, sameID},
	{"a standby that waits for acknowledgements", 1, Fault{}, waitingStandby},
	{"a standby with much to apply", 1, Fault{}, backlog},
	{"a new primary that is killed too", 1, Fault{}, killPromoted},
}

// TestRegressions injects them into one cluster of each flavour.
func TestRegressions(t *testing.T) {
	for _, s := range []setup{setups[0], setups[3]} {
		if *flavorFlag != "" && *flavorFlag != s.opts.Flavor.String() {
			continue
		}
		t.Run(s.opts.Flavor.String(), func(t *testing.T) {
			t.Parallel()
			if s.opts.Flavor == mysqltest.MySQL { // for the standby that waits
				s.opts.Config = map[string]string{"plugin-load": "semisync_source.so;semisync_replica.so"}
			}
			r := newRig(t, s)
			r.run(func() bool {
				for _, f := range regressions {
					if !only().MatchString(f.name) {
						continue
					}
					if !r.inject(f, rand.New(rand.NewPCG(1, 1))) {
						return false
					}
				}
				return true
			})
		})
	}
}

// await waits until the cluster is as asked for.
func (r *rig) await(limit time.Duration, what string, is func(api.Cluster) bool) error {
	deadline := time.Now().Add(limit)
	for {
		st, err := r.prog.status(r.t.Context())
		if err == nil && is(st) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s: %s; state %s %q, verdict %s %q, %w", limit, what, st.State, st.Reasons, st.Verdict.Kind, st.Verdict.Evidence, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stays fails when the cluster is, within d, what it must not be.
func (r *rig) stays(d time.Duration, what string, bad func(api.Cluster) bool) error {
	for deadline := time.Now().Add(d); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if st, err := r.prog.status(r.t.Context()); err == nil && bad(st) {
			return fmt.Errorf("%s: state %s %q, primary %s, verdict %s %q", what, st.State, st.Reasons, st.Primary, st.Verdict.Kind, st.Verdict.Evidence)
		}
	}
	return nil
}

// ownLink breaks the way from the proxy to the primary while the standby still hears the primary.
func ownLink(how func(*faultnet.Link)) func(*rig, *rand.Rand, int, int) error {
	return func(r *rig, _ *rand.Rand, p, s int) error {
		l := r.link(proxyEnd, p)
		how(l)
		defer l.Heal()
		err := r.await(6*time.Second, "the verdict is MY_LINK", func(c api.Cluster) bool { return c.Verdict.Kind == "MY_LINK" })
		if err != nil {
			return err
		}
		return r.stays(2*time.Second, "the standby was promoted", func(c api.Cluster) bool { return c.Primary == serverName(s) })
	}
}

// fenceDeadlock lets two transactions of clients that go round the proxy wait for each other across the fence: the first
// holds a row that the second waits for, the fence waits for the second, and the first would wait for the fence.
func fenceDeadlock(r *rig, _ *rand.Rand, p, s int) error {
	db, err := sql.Open("mysql", r.pair.Servers[p].DSN(mysqltest.AppUser, mysqltest.AppPassword, "app"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	first, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = first.Rollback() }()
	const update = "INSERT INTO counters (client, value) VALUES (-1, 1) ON DUPLICATE KEY UPDATE value = value + 1"
	if _, err := first.ExecContext(ctx, update); err != nil {
		return err
	}
	second := make(chan error, 1)
	go func() {
		_, err := db.ExecContext(ctx, update)
		second <- err
	}()
	r.rest(100 * time.Millisecond)
	began := time.Now()
	if err := switchover(r, nil, p, s); err != nil {
		return err
	}
	if took := time.Since(began); took > 5*time.Second {
		return fmt.Errorf("the switchover took %s", took)
	}
	if err := <-second; err == nil && first.Commit() == nil {
		return errors.New("both transactions that waited for each other were committed")
	}
	return nil
}

// openStandby makes the standby writable by hand.
func openStandby(r *rig, _ *rand.Rand, _, s int) error {
	server := r.pair.Servers[s]
	if err := server.SetReadOnly(context.Background(), false); err != nil {
		return err
	}
	deadline := time.Now().Add(5 * time.Second)
	for {
		row, err := server.Row(context.Background(), "SELECT @@global.read_only AS ro")
		if err == nil && row["ro"] == "1" {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("the standby stays writable: %v", row), err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// brokenStandby stops the standby's applier by a row that is there already, and ends the primary.
func brokenStandby(r *rig, _ *rand.Rand, p, s int) error {
	const row = "(-5, 0, 0)"
	if err := r.behind(s, "INSERT INTO app.writes VALUES "+row); err != nil {
		return err
	}
	if err := r.exec(p, "INSERT INTO app.writes VALUES "+row); err != nil {
		return err
	}
	err := r.await(10*time.Second, "the standby is not healthy", func(c api.Cluster) bool {
		return len(c.Servers) > s && !c.Servers[s].Healthy
	})
	if err != nil {
		return err
	}
	if err := r.deadPrimary(p, s); err != nil {
		return err
	}
	start := "START SLAVE"
	if r.setup.opts.Flavor == mysqltest.MySQL {
		start = "START REPLICA"
	}
	if err := r.behind(s, "DELETE FROM app.writes WHERE id = -5"); err != nil {
		return err
	}
	return r.exec(s, start)
}

// behind changes the standby's data behind replication's back.
func (r *rig) behind(server int, query string) error {
	queries := []string{"SET SESSION sql_log_bin=0", query}
	if r.setup.opts.Flavor == mysqltest.MySQL {
		queries = []string{"SET SESSION sql_log_bin=0", "SET GLOBAL super_read_only=0", query, "SET GLOBAL super_read_only=1"}
	}
	return r.exec(server, queries...)
}

// deadPrimary ends the primary for a while in which the standby must not be promoted.
func (r *rig) deadPrimary(p, s int) error {
	r.pair.Servers[p].Kill9()
	bad := r.stays(4*time.Second, "a standby that is not fit was promoted", func(c api.Cluster) bool { return c.Primary == serverName(s) })
	return errors.Join(bad, r.restart(p))
}

// sameID gives the standby the id of the primary, as a server has that was made from the other's snapshot.
func sameID(r *rig, _ *rand.Rand, p, s int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	standby := r.pair.Servers[s]
	twin := map[string]string{"server-id": strconv.FormatUint(uint64(r.pair.Servers[p].ServerID), 10)}
	for k, v := range r.setup.opts.Config {
		twin[k] = v
	}
	standby.Kill9()
	if err := standby.Restart(ctx, twin); err != nil {
		return err
	}
	r.rest(2 * time.Second) // it has tried to connect, and was refused
	err := r.await(10*time.Second, "the standby is not healthy", func(c api.Cluster) bool {
		return len(c.Servers) > s && !c.Servers[s].Healthy
	})
	if err == nil {
		err = r.deadPrimary(p, s)
	}
	standby.Kill9()
	own := map[string]string{}
	for k, v := range r.setup.opts.Config {
		own[k] = v
	}
	return errors.Join(err, standby.Restart(ctx, own))
}

// waitingStandby leaves the source side of semi-sync on where nobody acknowledges.
func waitingStandby(r *rig, rng *rand.Rand, p, s int) error {
	on := "SET GLOBAL rpl_semi_sync_master_enabled=1"
	if r.setup.opts.Flavor == mysqltest.MySQL {
		on = "SET GLOBAL rpl_semi_sync_source_enabled=1"
	}
	if err := r.exec(s, on); err != nil {
		return err
	}
	return r.promoted(p, s)
}

// promoted ends the primary until the standby has taken over.
func (r *rig) promoted(p, s int) error {
	r.pair.Servers[p].Kill9()
	err := r.await(10*time.Second, "the standby is promoted", func(c api.Cluster) bool { return c.Primary == serverName(s) })
	return errors.Join(err, r.restart(p))
}

// killPromoted ends the primary, and then the one that took over once the first one is back: what only the first one has
// must not come over when the second one starts its links.
func killPromoted(r *rig, rng *rand.Rand, p, s int) error {
	// A cut link makes sure that there is something.
	links := r.between(p, s)
	for _, l := range links {
		l.Cut()
	}
	r.rest(200 * time.Millisecond)
	r.pair.Servers[p].Kill9()
	for _, l := range links {
		l.Heal()
	}
	err := r.await(10*time.Second, "the standby is promoted", func(c api.Cluster) bool { return c.Primary == serverName(s) })
	err = errors.Join(err, r.restart(p))
	r.pair.Servers[s].Kill9()
	return errors.Join(err, r.restart(s))
}

// backlog ends the primary while the standby has received much that it has not applied. None of that may be thrown away.
func backlog(r *rig, _ *rand.Rand, p, s int) error {
	conn, err := r.pair.Servers[s].DB().Conn(context.Background())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(context.Background(), "FLUSH TABLES app.writes WITH READ LOCK"); err != nil {
		return err
	}
	r.rest(2 * time.Second)
	r.pair.Servers[p].Kill9()
	r.rest(time.Second)
	if _, err := conn.ExecContext(context.Background(), "UNLOCK TABLES"); err != nil {
		return err
	}
	err = r.await(20*time.Second, "the standby is promoted", func(c api.Cluster) bool { return c.Primary == serverName(s) })
	if err == nil {
		err = r.keptAll(p, s)
	}
	return errors.Join(err, r.restart(p))
}

// manyLost is more than is on the way between two servers, and less than what was acknowledged in two seconds.
const manyLost = 60

// keptAll checks that the new primary has all but the last of the acknowledged rows.
func (r *rig) keptAll(p, s int) error {
	have, err := r.rows(s)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	lost, told := 0, 0
	r.history.writes(func(op Op, id int64) {
		if op.Outcome != OK || op.Told < r.now()-30*time.Second {
			return
		}
		told++
		if _, ok := have[id]; !ok {
			lost++
		}
	})
	if lost > manyLost || told < 2*manyLost {
		return fmt.Errorf("%d of %d acknowledged rows that %s had are not on %s", lost, told, serverName(p), serverName(s))
	}
	return nil
}
