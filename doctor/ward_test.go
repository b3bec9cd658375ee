package doctor

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/topology"
)

// ward is a pair under observation: a is the primary, b its standby. All tests of a flavour share it; each leaves it as
// it found it.
type ward struct {
	*testing.T
	pair *mysqltest.Pair
	d    *Doctor
	// session are variables that the doctor's sessions have, to give it another idea of the time.
	session string
	// away is a server that cannot be connected to.
	away string
}

var pairs mysqltest.Shared

var flavors = []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL}

func TestMain(m *testing.M) { os.Exit(pairs.Close(m.Run())) }

// onWards runs a test on the pair of each flavour.
func onWards(t *testing.T, test func(w *ward)) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) { test(newWard(t, f)) })
	}
}

func newWard(t *testing.T, f mysqltest.Flavor) *ward {
	t.Helper()
	o := mysqltest.PairOptions{Flavor: f, Config: map[string]string{"relay-log-recovery": "0"}}
	if f == mysqltest.MySQL {
		o.Config["plugin-load"] = "semisync_source.so;semisync_replica.so"
	}
	pair, fresh := pairs.Pair(t, f.String(), o)
	w := &ward{T: t, pair: pair}
	if fresh {
		w.furnish()
	}
	w.d = w.doctor(func(*Config) {})
	return w
}

// furnish gives the pair what setup does, and a table.
func (w *ward) furnish() {
	w.Helper()
	for _, q := range flavor.SchemaSQL() {
		w.on("a", q)
	}
	w.on("a", "CREATE TABLE app.t (id INT PRIMARY KEY)")
	for _, s := range []string{"a", "b"} {
		w.on(s, "SET GLOBAL sync_binlog=1", "SET GLOBAL innodb_flush_log_at_trx_commit=1")
	}
	w.even()
}

// doctor makes one for the pair.
func (w *ward) doctor(change func(*Config)) *Doctor {
	w.Helper()
	c := Config{
		Cluster: "main", Connect: w.connect, ControlUser: mysqltest.ControlUser,
		Servers: []topology.Instance{{Name: "a", Address: w.server("a").Addr()}, {Name: "b", Address: w.server("b").Addr()}},
	}
	c.Primary = func() topology.Primary { return topology.Primary{Instance: c.Servers[0], Epoch: 1} }
	change(&c)
	d, err := New(c)
	if err != nil {
		w.Fatal(err)
	}
	return d
}

func (w *ward) connect(i topology.Instance) (*sql.DB, error) {
	if i.Name == w.away {
		return nil, fmt.Errorf("%s is away", i.Name)
	}
	if w.session == "" {
		return flavor.Open(i.Address, flavor.Login{User: mysqltest.ControlUser, Password: mysqltest.ControlPassword})
	}
	return sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)/?interpolateParams=true&%s", mysqltest.ControlUser, mysqltest.ControlPassword, i.Address, w.session))
}

func (w *ward) server(name string) *mysqltest.Server { return w.pair.Servers[name[0]-'a'] }

func (w *ward) mariadb() bool { return w.pair.Servers[0].Flavor == mysqltest.MariaDB }

// on runs statements on a server as root.
func (w *ward) on(server string, statements ...string) {
	w.Helper()
	for _, q := range statements {
		if _, err := w.server(server).DB().ExecContext(w.Context(), q); err != nil {
			w.Fatalf("%s on %s: %v", q, server, err)
		}
	}
}

// aside runs statements on a server that others do not get.
func (w *ward) aside(server string, statements ...string) {
	w.Helper()
	c := w.conn(server)
	defer func() { _ = c.Close() }()
	c.exec("SET SESSION sql_log_bin=0")
	if !w.mariadb() && server == "b" {
		c.exec("SET GLOBAL super_read_only=0")
		defer w.on(server, "SET GLOBAL super_read_only=1")
	}
	c.exec(statements...)
	c.exec("SET SESSION sql_log_bin=1")
}

// session is one connection of root.
type session struct {
	*sql.Conn
	w *ward
}

func (w *ward) conn(server string) session {
	w.Helper()
	c, err := w.server(server).DB().Conn(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return session{c, w}
}

func (c session) exec(statements ...string) {
	c.w.Helper()
	for _, q := range statements {
		if _, err := c.ExecContext(c.w.Context(), q); err != nil {
			c.w.Fatalf("%s: %v", q, err)
		}
	}
}

// word gives the statement of the flavour.
func (w *ward) word(mariadb, mysql string) string {
	if w.mariadb() {
		return mariadb
	}
	return mysql
}

// even waits until b has what a has.
func (w *ward) even() {
	w.Helper()
	query := w.word("SELECT @@gtid_binlog_pos AS p", "SELECT @@gtid_executed AS p")
	w.eventually("b has what a has", func() bool {
		return w.value("a", query, "p") == w.value("b", query, "p")
	})
}

func (w *ward) value(server, query, column string) string {
	w.Helper()
	row, err := w.server(server).Row(w.Context(), query)
	if err != nil {
		w.Fatal(err)
	}
	return row[column]
}

func (w *ward) eventually(what string, is func() bool) {
	w.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("not within 20 s: %s", what)
		}
	}
}

// link gives a column of the server's replication status, by its new and its old name.
func (w *ward) link(server, column string) string {
	w.Helper()
	if w.mariadb() {
		return w.value(server, "SHOW SLAVE STATUS", strings.NewReplacer("Replica", "Slave", "Source", "Master").Replace(column))
	}
	return w.value(server, "SHOW REPLICA STATUS", column)
}

// running waits until both threads of the server's link run.
func (w *ward) running(server string) {
	w.Helper()
	w.eventually("the link of "+server+" runs", func() bool {
		return w.link(server, "Replica_IO_Running") == "Yes" && w.link(server, "Replica_SQL_Running") == "Yes"
	})
}

func (w *ward) stop(server, threads string) {
	w.Helper()
	w.on(server, w.word("STOP SLAVE ", "STOP REPLICA ")+threads)
}

func (w *ward) start(server string) {
	w.Helper()
	w.on(server, w.word("START SLAVE", "START REPLICA"))
	w.running(server)
}

// change stops the link of b, changes it, and starts it.
func (w *ward) change(options ...string) {
	w.Helper()
	w.stop("b", "")
	list := strings.Join(options, ", ")
	w.on("b", w.word("CHANGE MASTER TO "+strings.ReplaceAll(list, "SOURCE_", "MASTER_"), "CHANGE REPLICATION SOURCE TO "+list),
		w.word("START SLAVE", "START REPLICA"))
}

// follow makes the link of b anew.
func (w *ward) follow() {
	w.Helper()
	w.stop("b", "")
	w.on("b", w.word("RESET SLAVE ALL", "RESET REPLICA ALL"))
	w.change("SOURCE_HOST='127.0.0.1'", fmt.Sprintf("SOURCE_PORT=%d", w.server("a").Port), "SOURCE_USER='"+mysqltest.ReplicationUser+"'",
		"SOURCE_PASSWORD='"+mysqltest.ReplicationPassword+"'", "SOURCE_HEARTBEAT_PERIOD=1", "SOURCE_CONNECT_RETRY=1",
		w.word("MASTER_USE_GTID=slave_pos", "SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1"))
	w.running("b")
}

// find looks a code up; the server "" is that of the cluster.
func find(r Report, code, server string) (Finding, bool) {
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Code == code && f.Server == server })
	if i < 0 {
		return Finding{}, false
	}
	return r.Findings[i], true
}

// sick fails the test unless the codes are found on the server, with sentences a person can use.
func (w *ward) sick(server string, codes ...string) {
	w.Helper()
	r := w.d.Check(w.Context())
	for _, code := range codes {
		f, ok := find(r, code, server)
		if !ok {
			w.Errorf("%s is not found on %q: %s", code, server, list(r))
			continue
		}
		if len(f.Summary) < 40 || !strings.HasSuffix(f.Summary, ".") || strings.Contains(f.Summary, "%!") {
			w.Errorf("%s says %q", code, f.Summary)
		}
		if len(f.Evidence) == 0 && code != "LINK_MISSING" {
			w.Errorf("%s has no evidence", code)
		}
		w.Logf("%s %s %s: %s\n  evidence %q\n  fix %q", f.Code, f.Severity, f.Server, f.Summary, f.Evidence, f.Fix)
	}
}

// well fails the test if one of the codes is found on the server, or could not be looked for.
func (w *ward) well(server string, codes ...string) {
	w.Helper()
	r := w.d.Check(w.Context())
	for _, code := range codes {
		if f, ok := find(r, code, server); ok {
			w.Errorf("%s is found on %q: %s %q", code, server, f.Summary, f.Evidence)
		}
		for _, f := range r.Failed {
			if strings.Contains(f, code) {
				w.Errorf("%s was not looked for: %s", code, f)
			}
		}
	}
}

func list(r Report) string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, f.Code+" "+f.Server)
	}
	return strings.Join(out, ", ") + "; failed: " + strings.Join(r.Failed, "; ")
}

// connectAs opens handles for another account.
func (w *ward) connectAs(user, password string) func(topology.Instance) (*sql.DB, error) {
	return func(i topology.Instance) (*sql.DB, error) {
		return flavor.Open(i.Address, flavor.Login{User: user, Password: password})
	}
}

func failedIn(r Report, code string) bool {
	return slices.ContainsFunc(r.Failed, func(f string) bool { return strings.Contains(f, code) })
}

// fresh opens a connection that has seen no change of settings yet.
func (w *ward) fresh(server string) session {
	w.Helper()
	db, err := sql.Open("mysql", w.server(server).DSN("root", mysqltest.RootPassword, ""))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = db.Close() })
	c, err := db.Conn(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return session{c, w}
}
