package failover

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/coord/local"
	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/topology"
)

// cluster is a set of real servers with everything a test needs around a Controller.
type cluster struct {
	t       *testing.T
	servers []topology.Instance
	admin   map[string]*sql.DB // the control account, for looking and breaking
	app     map[string]*sql.DB // the application's account, behind the gateway
	gate    *gateway
	watch   Monitor
	policy  Policy
	path    string      // of the state file
	slow    atomic.Bool // the clients take long rests
	hook    atomic.Pointer[func(string) error]
	limits  Limits
	// The control account of the controllers that are started.
	user, password string
}

// openDB opens a pool for an account; every statement on it is bounded.
func openDB(t *testing.T, user, password, address, schema string) *sql.DB {
	t.Helper()
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.DBName = user, password, "tcp", address, schema
	cfg.ParseTime, cfg.InterpolateParams = true, true
	cfg.Timeout, cfg.Logger = 2*time.Second, &mysql.NopLogger{}
	c, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func newCluster(t *testing.T, servers []topology.Instance) *cluster {
	t.Helper()
	c := &cluster{t: t, servers: servers, admin: map[string]*sql.DB{}, app: map[string]*sql.DB{}, path: filepath.Join(t.TempDir(), "state.json"), limits: DefaultLimits(), user: mysqltest.ControlUser, password: mysqltest.ControlPassword}
	for _, s := range servers {
		c.admin[s.Name] = openDB(t, mysqltest.ControlUser, mysqltest.ControlPassword, s.Address, "")
		c.app[s.Name] = openDB(t, mysqltest.AppUser, mysqltest.AppPassword, s.Address, "app")
		c.app[s.Name].SetMaxIdleConns(32)
	}
	c.gate = newGateway(c.app)
	w := &watcher{instances: servers, dbs: c.admin}
	c.watch = w
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return c
}

// start runs a controller over the cluster until the returned function is called, or the test ends.
func (c *cluster) start(store coord.Store) (*Controller, func()) {
	c.t.Helper()
	file, err := local.Open(c.path, "c", "test")
	if err != nil {
		c.t.Fatal(err)
	}
	if store == nil {
		store = file
	}
	journal, err := NewJournal(JournalConfig{})
	if err != nil {
		c.t.Fatal(err)
	}
	ctl, err := New(Config{
		Cluster: "c", Servers: c.servers, Monitor: c.watch, DataPath: c.gate, Lease: file, Store: store, Journal: journal,
		Connect: func(i topology.Instance) (*sql.DB, error) {
			return openDB(c.t, c.user, c.password, i.Address, ""), nil
		},
		ControlUser: c.user, Replication: Replication{User: mysqltest.ReplicationUser, Password: mysqltest.ReplicationPassword}, Limits: c.limits, Policy: c.policy, Logger: zerolog.Nop(), KeepDir: filepath.Join(filepath.Dir(c.path), "undone"),
		BinlogSource: func(i topology.Instance, flavor string) binlog.Source {
			return binlog.Source{Address: i.Address, User: c.user, Password: c.password, Flavor: flavor}
		},
		hook: func(point string) error {
			if h := c.hook.Load(); h != nil {
				return (*h)(point)
			}
			return nil
		},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- ctl.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				c.t.Logf("controller ended with: %v", err)
			}
		case <-time.After(30 * time.Second):
			c.t.Error("the controller does not stop")
		}
		_ = file.Close()
	})
	c.t.Cleanup(func() {
		stop()
		if c.t.Failed() {
			for _, e := range journal.Events(0) {
				c.t.Logf("journal %d %s %s %s %s %.1fms %v %v", e.Seq, e.Kind, e.Step, e.State, e.Outcome, e.MS, e.Reasons, e.Evidence)
			}
		}
	})
	return ctl, stop
}

// patience is how long something is waited for under full load. After it the clients slow down: on a busy machine a standby
// may follow and never get to the end.
const patience = 10 * time.Second

// slowDown lets the clients slow down after a while, until the returned function is called.
func (c *cluster) slowDown() (end func()) {
	timer := time.AfterFunc(patience, func() { c.slow.Store(true) })
	return func() {
		timer.Stop()
		c.slow.Store(false)
	}
}

// waitState waits until the controller is in state want.
func (c *cluster) waitState(ctl *Controller, want State) Status {
	c.t.Helper()
	defer c.slowDown()()
	var s Status
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if s = ctl.Status(); s.State == want {
			return s
		}
	}
	c.t.Fatalf("state is %s, want %s; reasons %q", s.State, want, s.Reasons)
	return s
}

// waitFor waits until the condition holds.
func (c *cluster) waitFor(what string, condition func() bool) {
	c.t.Helper()
	defer c.slowDown()()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if condition() {
			return
		}
	}
	c.t.Fatalf("%s: waited in vain", what)
}

func (c *cluster) address(server string) string {
	for _, s := range c.servers {
		if s.Name == server {
			return s.Address
		}
	}
	return ""
}

func (c *cluster) exec(server, statement string, args ...any) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := c.admin[server].ExecContext(ctx, statement, args...); err != nil {
		c.t.Fatalf("%s on %s: %v", statement, server, err)
	}
}

// asApp runs a statement with the application's account.
func (c *cluster) asApp(server, statement string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := c.app[server].ExecContext(ctx, statement); err != nil {
		c.t.Fatalf("%s on %s: %v", statement, server, err)
	}
}

// flags reads both flags of a server.
func (c *cluster) flags(server string) (readOnly, super bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	d, err := flavor.Detect(ctx, c.admin[server])
	if err == nil {
		readOnly, super, err = d.ReadOnly(ctx, c.admin[server])
	}
	if err != nil {
		c.t.Fatalf("flags of %s: %v", server, err)
	}
	return readOnly, super
}

// wantOnlyWritable fails unless name is writable and all others are closed.
func (c *cluster) wantOnlyWritable(name string) {
	c.t.Helper()
	for _, s := range c.servers {
		ro, super := c.flags(s.Name)
		if (s.Name == name) == (ro || super) {
			c.t.Errorf("%s: read_only=%t super_read_only=%t, the primary should be %s", s.Name, ro, super, name)
		}
	}
}

// ack is one acknowledged row.
type ack struct {
	id    uint64
	epoch topology.Epoch
	name  string
}

// load writes rows from several clients until it is stopped.
type load struct {
	c      *cluster
	cancel context.CancelFunc
	wg     sync.WaitGroup
	next   atomic.Uint64

	mu     sync.Mutex
	acks   []ack
	errs   []error
	longst time.Duration
}

// createTable makes the table that loads write to.
func (c *cluster) createTable(primary string) {
	c.t.Helper()
	c.asApp(primary, "DROP TABLE IF EXISTS acks")
	c.asApp(primary, "CREATE TABLE acks (id BIGINT UNSIGNED PRIMARY KEY, server INT UNSIGNED NOT NULL, epoch BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB")
}

// startLoad begins to write through the gateway with n clients; pause is the think time of each.
func (c *cluster) startLoad(n int, think time.Duration) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{c: c, cancel: cancel}
	for range n {
		l.wg.Go(func() {
			for ctx.Err() == nil {
				l.writeOne(ctx)
				time.Sleep(think)
				if c.slow.Load() {
					time.Sleep(100 * time.Millisecond)
				}
			}
		})
	}
	return l
}

func (l *load) writeOne(ctx context.Context) {
	a := ack{id: l.next.Add(1)}
	begun := time.Now()
	err := l.c.gate.use(ctx, func(ctx context.Context, db *sql.DB, p topology.Primary) error {
		a.epoch, a.name = p.Epoch, p.Instance.Name
		bounded, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		defer context.AfterFunc(ctx, func() {
			if !errors.Is(context.Cause(ctx), context.Canceled) { // cut off; the end of the load lets it finish
				cancel()
			}
		})()
		_, err := db.ExecContext(bounded, "INSERT INTO acks VALUES (?, @@server_id, ?)", a.id, uint64(p.Epoch))
		return err
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case ctx.Err() != nil:
	case err != nil:
		l.errs = append(l.errs, fmt.Errorf("row %d on %s: %w", a.id, a.name, err))
	default:
		l.acks = append(l.acks, a)
		l.longst = max(l.longst, time.Since(begun))
	}
}

// stop ends the load and returns what was acknowledged and what failed.
func (l *load) stop() ([]ack, []error) {
	l.cancel()
	l.wg.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acks, l.errs
}

// wantEverywhere fails unless every acknowledged row is on every server, written by the primary of its epoch, and all
// servers have the same rows.
func (c *cluster) wantEverywhere(acks []ack) {
	c.t.Helper()
	ids := map[string]uint32{}
	for _, s := range c.servers {
		var id uint32
		if err := c.admin[s.Name].QueryRow("SELECT @@server_id").Scan(&id); err != nil {
			c.t.Fatal(err)
		}
		ids[s.Name] = id
	}
	for _, s := range c.servers {
		rows := c.waitRows(s.Name, acks)
		missing, wrong := 0, 0
		for _, a := range acks {
			server, ok := rows[a.id]
			if !ok {
				missing++
			} else if server != ids[a.name] {
				wrong++
			}
		}
		if missing > 0 || wrong > 0 {
			c.t.Errorf("%s: %d of %d acknowledged rows are missing, %d were written by another server than the primary", s.Name, missing, len(acks), wrong)
		}
	}
	c.wantSameRows()
}

// waitRows reads the table, waiting for a while for rows that are still on their way.
func (c *cluster) waitRows(server string, acks []ack) map[uint64]uint32 {
	c.t.Helper()
	var out map[uint64]uint32
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		out = c.rows(server)
		complete := true
		for _, a := range acks {
			if _, ok := out[a.id]; !ok {
				complete = false
			}
		}
		if complete || time.Now().After(deadline) {
			return out
		}
	}
}

func (c *cluster) rows(server string) map[uint64]uint32 {
	c.t.Helper()
	rs, err := c.app[server].Query("SELECT id, server FROM acks")
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = rs.Close() }()
	out := map[uint64]uint32{}
	for rs.Next() {
		var id uint64
		var server uint32
		if err := rs.Scan(&id, &server); err != nil {
			c.t.Fatal(err)
		}
		out[id] = server
	}
	if err := rs.Err(); err != nil {
		c.t.Fatal(err)
	}
	return out
}

// longTransaction opens a transaction through the gateway and keeps it open until it is ended.
func (c *cluster) longTransaction() error {
	return c.gate.use(context.Background(), func(ctx context.Context, db *sql.DB, _ topology.Primary) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(ctx, "INSERT INTO acks VALUES (1099511627776, @@server_id, 0)"); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Second):
			return tx.Commit()
		}
	})
}

// wantSameRows fails unless all servers come to have the same rows.
func (c *cluster) wantSameRows() {
	c.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		first, same := c.rows(c.servers[0].Name), true
		for _, s := range c.servers[1:] {
			same = same && maps.Equal(first, c.rows(s.Name))
		}
		if same {
			return
		}
		if time.Now().After(deadline) {
			c.t.Error("the servers do not have the same rows")
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}
