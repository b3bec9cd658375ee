package integration

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

var bothFlavors = []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL}

// stateOf are the statements that give a session a state of its own.
func stateOf(f mysqltest.Flavor) []string {
	out := []string{
		"USE other",
		"SET NAMES latin1 COLLATE latin1_german2_ci",
		"SET character_set_results=utf8mb4",
		`SET sql_mode='ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES', time_zone='+03:00'`,
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
		"SET group_concat_max_len=12345, lock_wait_timeout=77, wait_timeout=4321",
		"SET SESSION sql_select_limit=1000000, foreign_key_checks=0",
		"SET @@session.div_precision_increment = 7, @@innodb_lock_wait_timeout = 13",
		"SET lc_time_names='de_DE'",
		"SET max_join_size=DEFAULT, unique_checks=OFF",
		"SET ROLE reader",
		"PREPARE twice FROM 'SELECT 2 * ?'",
	}
	if f == mysqltest.MariaDB {
		out = append(out, "SET max_statement_time=55.5", "SET SESSION optimizer_switch='mrr=on'")
	} else {
		out = append(out, "SET max_execution_time=55000", "SET SESSION optimizer_switch='mrr=off'", "SET SESSION cte_max_recursion_depth=99")
	}
	return append(out, "SET autocommit=0")
}

// perServer are variables that say something about the server or the moment, not about the session.
var perServer = []string{"gtid", "timestamp", "last_", "pseudo_", "rand_seed", "identity", "in_transaction", "read_only", "super_read_only",
	"error_count", "warning_count", "statement_id", "rpl_semi_sync", "binlog_", "original_", "session_track_", "innodb_temp"}

// observe reads all that a session can see of itself.
func observe(t *testing.T, conn *sql.Conn) map[string]string {
	t.Helper()
	out := query2(t, conn, "SHOW SESSION VARIABLES")
	maps.DeleteFunc(out, func(name, _ string) bool {
		return slices.ContainsFunc(perServer, func(p string) bool { return strings.HasPrefix(name, p) })
	})
	for _, x := range []string{"DATABASE()", "CURRENT_USER()", "USER()", "CURRENT_ROLE()", "@@collation_connection", "@@character_set_client", "@@sql_mode", "@@autocommit"} {
		var v sql.NullString
		if err := conn.QueryRowContext(t.Context(), "SELECT "+x).Scan(&v); err != nil {
			t.Fatal(x, err)
		}
		out[x] = v.String
	}
	return out
}

// query2 reads pairs of strings.
func query2(t *testing.T, conn *sql.Conn, query string) map[string]string {
	t.Helper()
	rows, err := conn.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(query, err)
	}
	defer func() { _ = rows.Close() }()
	out := map[string]string{}
	for rows.Next() {
		var k, v string
		if err := rows.Scan(&k, &v); err != nil {
			t.Fatal(err)
		}
		out[strings.ToLower(k)] = v
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func pinnedConn(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func execOn(t *testing.T, conn *sql.Conn, query string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := conn.ExecContext(ctx, query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// TestSessions shares one pair per flavour among what is to be known of sessions.
func TestSessions(t *testing.T) {
	for _, f := range bothFlavors {
		t.Run(f.String(), func(t *testing.T) {
			pair, o := startPair(t, mysqltest.PairOptions{Flavor: f, Fast: true}, "    failover: {mode: manual, drain_timeout: 300ms}\n")
			root := pair.Servers[0].DB()
			if f == mysqltest.MySQL && !pair.Servers[0].AtLeast(8, 0) {
				t.Skip("what is shown here takes trackers; for servers without, see integration/migration")
			}
			for _, q := range []string{
				"CREATE DATABASE other", "GRANT ALL ON other.* TO 'app'@'%'", "CREATE ROLE reader", "GRANT SELECT ON mysql.* TO reader", "GRANT reader TO 'app'@'%'",
				"CREATE TABLE app.t (id INT PRIMARY KEY)", "CREATE TABLE app.locked (id INT PRIMARY KEY)",
			} {
				mustExec(t, root, q)
			}
			t.Run("state survives", func(t *testing.T) { stateSurvives(t, f, o) })
			t.Run("prepared statements survive", func(t *testing.T) { preparedSurvives(t, o) })
			t.Run("pins", func(t *testing.T) { pinsAreToldAndEnd(t, f, o) })
			t.Run("reset unpins", func(t *testing.T) { resetUnpins(t, o) })
			t.Run("global variables", func(t *testing.T) { globalsAreThoseOfTheLogin(t, pair, o) })
			t.Run("servers that end connections", func(t *testing.T) { goodbyes(t, f, pair, o) })
		})
	}
}

func stateSurvives(t *testing.T, f mysqltest.Flavor, o *onewriter) {
	conn := pinnedConn(t, open(t, o.primary, ""))
	plain := observe(t, pinnedConn(t, open(t, o.primary, "")))
	for _, q := range stateOf(f) {
		execOn(t, conn, q)
	}
	before := observe(t, conn)
	execOn(t, conn, "COMMIT")
	changed := 0
	for k, v := range before {
		if plain[k] != v {
			changed++
		}
	}
	if changed < 15 {
		t.Errorf("only %d variables differ from a fresh session: the state was not set", changed)
	}
	o.mustSwitch("{}")
	other := observe(t, pinnedConn(t, open(t, o.primary, "")))
	after := observe(t, conn)
	for k, v := range before {
		// What differs between the servers and was never changed is the server's, not the session's.
		if after[k] != v && (plain[k] == other[k] || v != plain[k]) {
			t.Errorf("%s was %q before the switchover and is %q after it", k, v, after[k])
		}
	}
	if _, err := conn.ExecContext(t.Context(), "SELECT COUNT(*) FROM mysql.user"); err != nil {
		t.Errorf("the role does not hold any more: %v", err)
	}
	execOn(t, conn, "SET @n = 21")
	var doubled int
	if err := conn.QueryRowContext(t.Context(), "EXECUTE twice USING @n").Scan(&doubled); err != nil || doubled != 42 {
		t.Errorf("the statement prepared by text gives %d, %v", doubled, err)
	}
	execOn(t, conn, "COMMIT")
}

func preparedSurvives(t *testing.T, o *onewriter) {
	conn := pinnedConn(t, open(t, o.primary, ""))
	insert, err := conn.PrepareContext(t.Context(), "REPLACE INTO app.t (id) VALUES (?)")
	if err != nil {
		t.Fatal(err)
	}
	read, err := conn.PrepareContext(t.Context(), "SELECT @@server_id, COUNT(*) FROM app.t WHERE id = ?")
	if err != nil {
		t.Fatal(err)
	}
	r := dialRaw(t, o.primary)
	id := r.prepare("SELECT CONCAT(?, '!')")
	if got := r.execute(id, "one", true); got != "one!" {
		t.Fatalf("before the switchover: %q", got)
	}
	seen := map[uint32]bool{}
	for i := range 4 {
		if _, err := insert.Exec(i); err != nil {
			t.Fatalf("after %d switchovers: %v", i, err)
		}
		var server uint32
		var n int
		if err := read.QueryRow(i).Scan(&server, &n); err != nil || n != 1 {
			t.Fatalf("after %d switchovers: %d rows, %v", i, n, err)
		}
		seen[server] = true
		if got := r.execute(id, fmt.Sprint("again", i), false); got != fmt.Sprintf("again%d!", i) {
			t.Errorf("types not sent again after %d switchovers: %q", i, got)
		}
		o.mustSwitch("{}")
	}
	if len(seen) != 2 {
		t.Errorf("the statements ran on %d servers, want 2", len(seen))
	}
	if err := insert.Close(); err != nil {
		t.Error(err)
	}
	execOn(t, conn, "DO 1")
}

// session is what the admin API says of one.
type session struct {
	ID           uint64
	User, Target string
	ConnectionID uint32 `json:"connection_id"`
	HandshakeID  uint32 `json:"handshake_id"`
	Pins         []string
}

func (o *onewriter) sessions() []session {
	o.t.Helper()
	code, body := o.get("/api/v1/clusters/test/sessions")
	var list struct{ Sessions []session }
	if err := json.Unmarshal([]byte(body), &list); err != nil || code != 200 {
		o.t.Fatalf("sessions: %d %s %v", code, body, err)
	}
	return list.Sessions
}

// sessionOf finds the session whose client was greeted with the id, else the one whose server connection has it.
func (o *onewriter) sessionOf(id uint32) session {
	o.t.Helper()
	list := o.sessions()
	for _, s := range list {
		if s.HandshakeID == id {
			return s
		}
	}
	for _, s := range list {
		if s.ConnectionID == id {
			return s
		}
	}
	o.t.Fatalf("no session has the connection %d: %+v", id, o.sessions())
	return session{}
}

func connectionID(t *testing.T, conn *sql.Conn) (id uint32) {
	t.Helper()
	if err := conn.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// pinsAreToldAndEnd: a session that cannot move is ended with the reason. An XA transaction counts as an open one, which
// is given the drain limit and is then rolled back.
func pinsAreToldAndEnd(t *testing.T, f mysqltest.Flavor, o *onewriter) {
	type pin struct {
		reason string
		sql    []string
		code   uint16
		conn   *sql.Conn
		id     uint64
	}
	pins := []*pin{
		{reason: "temporary table", sql: []string{"CREATE TEMPORARY TABLE x (id INT)"}, code: 1053},
		{reason: "named lock", sql: []string{"SELECT GET_LOCK('one', 1)"}, code: 1053},
		{reason: "handler", sql: []string{"HANDLER t OPEN"}, code: 1053},
		{reason: "timestamp", sql: []string{"SET timestamp = 1000000000"}, code: 1053},
		{reason: "table lock", sql: []string{"LOCK TABLES locked READ"}, code: 1053},
		{reason: "XA", sql: []string{"XA START 'x1'", "REPLACE INTO t VALUES (77)", "XA END 'x1'"}, code: 1213},
	}
	for _, p := range pins {
		p.conn = pinnedConn(t, open(t, o.primary, ""))
		for _, q := range p.sql {
			execOn(t, p.conn, q)
		}
	}
	for _, p := range pins {
		s := session{}
		if p.reason == "XA" { // no statement but XA's own is possible in this state
			for _, x := range o.sessions() {
				if len(x.Pins) > 0 && strings.Contains(strings.Join(x.Pins, ","), "XA") {
					s = x
				}
			}
		} else {
			s = o.sessionOf(connectionID(t, p.conn))
		}
		p.id = uint64(s.HandshakeID)
		if !strings.Contains(strings.Join(s.Pins, ", "), p.reason) {
			t.Errorf("%v: the API shows the pins %q, want %q", p.sql, s.Pins, p.reason)
		}
	}
	m := o.mustSwitch("{}")
	closed := map[uint64]string{}
	for _, c := range m.SessionsClosed {
		closed[c.ID] = c.Reason
	}
	for _, p := range pins {
		if closed[p.id] == "" {
			t.Errorf("%v: session %d is not among the closed ones %v", p.sql, p.id, closed)
		}
		_, err := p.conn.ExecContext(t.Context(), "DO 1")
		wantCode(t, err, p.code)
		if p.code == 1053 && err != nil && !strings.Contains(err.Error(), p.reason) {
			t.Errorf("%v: the error does not say why: %v", p.sql, err)
		}
	}
}

func resetUnpins(t *testing.T, o *onewriter) {
	r := dialRaw(t, o.primary)
	r.exec("HANDLER app.t OPEN")
	r.exec("CREATE TEMPORARY TABLE app.y (id INT)")
	r.exec("DO GET_LOCK('two', 1)")
	id := r.id
	if s := o.sessionOf(id); len(s.Pins) != 3 {
		t.Errorf("pins before the reset: %q", s.Pins)
	}
	r.send(wire.ComResetConnection)
	r.wantOK("reset")
	o.eventually(2*time.Second, "the pins are gone", func() error {
		if s := o.sessionOf(id); len(s.Pins) != 0 {
			return fmt.Errorf("pins after the reset: %q", s.Pins)
		}
		return nil
	})
	if m := o.mustSwitch("{}"); len(m.SessionsClosed) != 0 {
		t.Errorf("closed: %+v", m.SessionsClosed)
	}
	r.exec("REPLACE INTO app.t VALUES (1)")
}

// globalsAreThoseOfTheLogin: a new client gets the server's global variables as they are, whoever connected and left before.
func globalsAreThoseOfTheLogin(t *testing.T, pair *mysqltest.Pair, o *onewriter) {
	server, before := pair.Servers[0].DB(), ""
	if o.status().Primary == "b" {
		server = pair.Servers[1].DB()
	}
	if err := server.QueryRow("SELECT @@GLOBAL.div_precision_increment").Scan(&before); err != nil {
		t.Fatal(err)
	}
	if err := o.knock(func(c net.Conn) error {
		_, err := c.Read(make([]byte, 200))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	mustExec(t, server, "SET GLOBAL div_precision_increment=9")
	defer mustExec(t, server, "SET GLOBAL div_precision_increment="+before)
	got := 0
	if err := open(t, o.primary, "").QueryRow("SELECT @@div_precision_increment").Scan(&got); err != nil || got != 9 {
		t.Errorf("a new session has %d, %v, want 9", got, err)
	}
}
