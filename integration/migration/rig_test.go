package migration

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/proxy"
	"github.com/onewriter/onewriter/topology"
)

var (
	sequencesFlag = flag.Int("migration.sequences", 300, "how many random sequences are run on each flavour")
	seedFlag      = flag.Uint64("migration.seed", 1, "seed of the first sequence; each further one has the next")
	flavorFlag    = flag.String("migration.flavor", "", "mariadb or mysql; empty: both")
	workersFlag   = flag.Int("migration.workers", 12, "how many sequences run at the same time on each flavour")
	verboseFlag   = flag.Bool("migration.trace", false, "print every sequence with its answers")
)

// otherUser is an account with a default role.
const otherUser = "app2"

// place is one flavour's servers: sessions move between the first two, and the controls run on the third.
type place struct {
	flavor    mysqltest.Flavor
	servers   [3]*mysqltest.Server
	root      [3]*sql.DB
	variables []choice        // session variables that the application may set
	other     map[string]bool // variables that belong to a server
	keys      *auth.Keys
}

var places = map[mysqltest.Flavor]*place{}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	for _, p := range places {
		for _, s := range p.servers {
			if err := s.Close(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = max(code, 1)
			}
		}
	}
	os.Exit(code)
}

// flavors runs a test on the servers of each flavour.
func flavors(t *testing.T, run func(t *testing.T, p *place)) {
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		if *flavorFlag != "" && *flavorFlag != f.String() {
			continue
		}
		t.Run(f.String(), func(t *testing.T) {
			mysqltest.RequireFlavor(t, f)
			run(t, placeOf(t, f))
		})
	}
}

func placeOf(t testing.TB, f mysqltest.Flavor) *place {
	t.Helper()
	if p := places[f]; p != nil {
		return p
	}
	p := &place{flavor: f}
	var wg sync.WaitGroup
	var failed [3]error
	for i := range p.servers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			p.servers[i], failed[i] = mysqltest.Start(ctx, mysqltest.Options{Flavor: f, Fast: true})
			if failed[i] == nil {
				failed[i] = furnish(ctx, f, p.servers[i].DB())
			}
		}()
	}
	wg.Wait()
	if err := errors.Join(failed[:]...); err != nil {
		t.Fatal(err)
	}
	for i, s := range p.servers {
		p.root[i] = s.DB()
	}
	var err error
	if p.keys, err = auth.NewKeys(); err != nil {
		t.Fatal(err)
	}
	if p.variables, err = p.discover(); err != nil {
		t.Fatal(err)
	}
	places[f] = p
	return p
}

// furnish creates what the sequences use.
func furnish(ctx context.Context, f mysqltest.Flavor, db *sql.DB) error {
	list := mysqltest.Accounts(f)
	list = append(list,
		"CREATE DATABASE app_two", "CREATE DATABASE `app_é`", "CREATE DATABASE `app drei` CHARACTER SET latin1",
		"CREATE USER '"+otherUser+"'@'%' IDENTIFIED BY '"+mysqltest.AppPassword+"'",
		"GRANT PROCESS ON *.* TO app@'%'", "GRANT PROCESS ON *.* TO "+otherUser+"@'%'",
	)
	major, _ := mysqltest.Release(f)
	roles := major >= 8 // MariaDB's are 10 and more
	if roles {
		list = append(list, "CREATE ROLE reader", "CREATE ROLE writer", "GRANT SELECT ON app.* TO reader", "GRANT INSERT ON app.* TO writer")
	}
	for _, u := range []string{"app", otherUser} {
		list = append(list, "GRANT ALL ON `app%`.* TO "+u+"@'%'")
		if roles {
			list = append(list, "GRANT reader TO "+u+"@'%'", "GRANT writer TO "+u+"@'%'")
		}
	}
	switch {
	case !roles:
	case f == mysqltest.MariaDB:
		list = append(list, "SET DEFAULT ROLE reader FOR "+otherUser+"@'%'")
	default:
		list = append(list, "ALTER USER "+otherUser+"@'%' DEFAULT ROLE ALL")
	}
	list = append(list,
		"CREATE TABLE app.rows4 (a INT PRIMARY KEY, b VARCHAR(20) CHARACTER SET utf8mb4) ENGINE=InnoDB",
		"INSERT INTO app.rows4 VALUES (1,'one'),(2,'two'),(3,'drei'),(4,NULL)",
		"CREATE TABLE app.counted (id BIGINT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20)) ENGINE=InnoDB AUTO_INCREMENT=1000000",
		"CREATE TABLE app_two.counted (id BIGINT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20)) ENGINE=InnoDB AUTO_INCREMENT=1000000",
		"CREATE TABLE app.numbered (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20)) ENGINE=InnoDB",
		"CREATE PROCEDURE app.set_buffer(n INT) SET SESSION sort_buffer_size=n",
		"CREATE PROCEDURE app.set_mode() SET SESSION sql_mode='ANSI_QUOTES'",
		"CREATE PROCEDURE app.set_user(n INT) SET @a=n",
		"CREATE PROCEDURE app.give(OUT x INT) SET x=7",
		"CREATE PROCEDURE app.last_id(n INT) SELECT LAST_INSERT_ID(n)",
		"CREATE PROCEDURE app.nothing() SELECT 1",
		"CREATE PROCEDURE app.lock(name VARCHAR(60)) DO GET_LOCK(name, 0)",
		"CREATE FUNCTION app.locks(name VARCHAR(60)) RETURNS INT DETERMINISTIC RETURN GET_LOCK(name, 0)",
		"CREATE PROCEDURE app.fails(n INT) BEGIN SET SESSION sort_buffer_size=60000+n; SET @a=n; SIGNAL SQLSTATE '45000'; END",
		"CREATE FUNCTION app.sets_and_fails(n INT) RETURNS INT DETERMINISTIC BEGIN SET @b=n; SET SESSION sort_buffer_size=50000+n; SIGNAL SQLSTATE '45000'; RETURN n; END",
		"CREATE FUNCTION app.plain(n INT) RETURNS INT DETERMINISTIC RETURN n+1",
		"CREATE FUNCTION app.sets(n INT) RETURNS INT DETERMINISTIC BEGIN SET @b=n; RETURN n; END",
		"CREATE FUNCTION app.sets_buffer(n INT) RETURNS INT DETERMINISTIC BEGIN SET SESSION sort_buffer_size=n; RETURN n; END",
	)
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if f == mysqltest.MySQL { // functions are not logged as deterministic ones otherwise
		list = append([]string{"SET GLOBAL log_bin_trust_function_creators=1"}, list...)
	}
	for _, q := range list {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	return nil
}

// tracks reports whether the servers report the state of sessions.
func (p *place) tracks() bool { return p.flavor == mysqltest.MariaDB || p.servers[0].AtLeast(5, 7) }

func (p *place) instance(i int) topology.Instance {
	return topology.Instance{Name: string(rune('a' + i)), Address: p.servers[i].Addr()}
}

// worker runs one sequence after the other through a cluster of its own, whose primary it moves.
type worker struct {
	place   *place
	cluster *proxy.Cluster
	at      int // which of the first two servers is the primary
	epoch   topology.Epoch
	stop    func()
}

func newWorker(t testing.TB, p *place) *worker {
	t.Helper()
	secret := auth.NewPassword([]byte(mysqltest.AppPassword))
	authenticator, err := auth.New(auth.Config{
		Keys: p.keys, Explicit: map[string]auth.Secret{"app": secret, otherUser: secret}, Logger: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	dialer := backend.New(backend.Config{Logger: zerolog.Nop()})
	w := &worker{place: p}
	w.cluster, err = proxy.NewCluster(proxy.Config{
		Name: "migration", Servers: []topology.Instance{p.instance(0), p.instance(1)}, Authenticator: authenticator, Dialer: dialer,
		Listeners: []proxy.ListenerConfig{{Address: "127.0.0.1:0"}}, HoldTimeout: peerTimeout, ConnectTimeout: peerTimeout,
		HandshakeTimeout: peerTimeout, Metrics: proxy.NewMetrics(prometheus.NewRegistry(), "migration"), Logger: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.publish(0)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.cluster.Run(ctx, 0) }()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		dialer.Close()
	}
	return w
}

// publish makes server i the primary.
func (w *worker) publish(i int) {
	w.at = i
	w.epoch++
	w.cluster.Publish(topology.Primary{Instance: w.place.instance(i), Epoch: w.epoch})
}

// session finds the proxy's view of a client.
func (w *worker) session(p *peer) (proxy.SessionInfo, bool) {
	for _, i := range w.cluster.Sessions() {
		if i.Client == p.conn.LocalAddr().String() {
			return i, true
		}
	}
	return proxy.SessionInfo{}, false
}

// settle waits until the proxy is done with what the client has had its answer to.
func (w *worker) settle(p *peer, inTransaction bool) {
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(200 * time.Microsecond) {
		if i, ok := w.session(p); !ok || i.InTransaction == inTransaction {
			return
		}
	}
}

// kill ends the server connection of a client behind its back, and returns when it is gone and the proxy will look.
func (w *worker) kill(ctx context.Context, p *peer) error {
	i, ok := w.session(p)
	if !ok || i.Server == "" {
		return nil
	}
	db := w.place.root[i.Server[0]-'a']
	for n, tries := 1, 0; n > 0; time.Sleep(5 * time.Millisecond) {
		if tries++; tries == 1 {
			if _, err := db.ExecContext(ctx, fmt.Sprintf("KILL %d", i.ServerID)); err != nil && !strings.Contains(err.Error(), "Unknown thread") {
				return err
			}
		} else if tries > 200 && !w.place.tracks() { // MySQL 5.6 does not wake every idle session that it kills
			return errSkip
		}
		row := db.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*) FROM information_schema.processlist WHERE id=%d", i.ServerID))
		if err := row.Scan(&n); err != nil {
			return err
		}
	}
	time.Sleep(120 * time.Millisecond) // connections that have just answered are not looked at
	return nil
}
