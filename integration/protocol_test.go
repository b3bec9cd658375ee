package integration

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

// TestProtocol shares one pair per flavour among all that a client can ask for.
func TestProtocol(t *testing.T) {
	for _, f := range bothFlavors {
		t.Run(f.String(), func(t *testing.T) {
			pair, o := startPair(t, mysqltest.PairOptions{Flavor: f, Fast: true}, "")
			noticed := hangUpAmidStatement(t, pair.Servers[0], o)
			defer noticed() // it takes seconds, in which other things can be done
			for _, c := range []struct {
				name string
				run  func(*testing.T, *onewriter)
			}{
				{"local infile", func(t *testing.T, o *onewriter) { localInfile(t, o, "") }},
				{"several statements", severalStatements},
				{"procedures", procedures},
				{"sizes around 16 MB", bigPackets},
				{"bytes of 16 MB", func(t *testing.T, o *onewriter) { sameBigPackets(t, f, pair, o) }},
				{"long data", longData},
				{"error amid a result", errorAmidResult},
				{"kill query", killQuery},
				{"change of user", func(t *testing.T, o *onewriter) { changeUser(t, f, o) }},
				{"TLS and plain", tlsAndPlain},
			} {
				t.Run(c.name, func(t *testing.T) { c.run(t, o) })
			}
			if f == mysqltest.MySQL && !pair.Servers[0].AtLeast(8, 0) {
				return // it has no plugin of its own
			}
			if f == mysqltest.MySQL {
				t.Run("caching_sha2_password", func(t *testing.T) { cachingSHA2(t, o) })
			} else {
				t.Run("mysql_native_password", func(t *testing.T) { nativePassword(t, o) })
			}
		})
	}
}

// hangUpAmidStatement lets a client hang up while its statement sleeps. What it gives waits until the server has heard of it,
// which servers look for every five seconds, and ends the statement.
func hangUpAmidStatement(t *testing.T, server *mysqltest.Server, o *onewriter) (noticed func()) {
	t.Helper()
	v := newVictim(t, o.primary, mysqltest.AppUser, mysqltest.AppPassword)
	v.sleep(server, "abandoned")
	_ = v.conn.Close()
	return func() {
		t.Helper()
		deadline := time.Now().Add(20 * time.Second)
		for n := 1; n > 0; time.Sleep(100 * time.Millisecond) {
			if err := server.DB().QueryRow("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP%/* abandoned */'").Scan(&n); err != nil {
				t.Fatal(err)
			}
			if time.Now().After(deadline) {
				t.Fatal("the statement of a client that has hung up still runs")
			}
		}
	}
}

func localInfile(t *testing.T, o *onewriter, params string) {
	const rows = 50_000
	db := open(t, o.primary, params)
	db.SetMaxOpenConns(1)
	mustExec(t, db, "CREATE TABLE loaded (id INT PRIMARY KEY, v VARCHAR(100))")
	defer mustExec(t, db, "DROP TABLE loaded")
	mysql.RegisterReaderHandler(t.Name(), func() io.Reader {
		var b bytes.Buffer
		for i := range rows {
			fmt.Fprintf(&b, "%d\t%s\n", i, strings.Repeat("v", 80))
		}
		return &b
	})
	defer mysql.DeregisterReaderHandler(t.Name())
	res, err := db.Exec("LOAD DATA LOCAL INFILE 'Reader::" + t.Name() + "' INTO TABLE loaded")
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := res.RowsAffected(); n != rows {
		t.Errorf("%d rows were loaded, want %d", n, rows)
	}
	_, err = db.Exec("LOAD DATA LOCAL INFILE 'Reader::" + t.Name() + "' INTO TABLE nowhere")
	wantCode(t, err, 1146)
	mustExec(t, db, "DO 1") // the connection is in order
}

func severalStatements(t *testing.T, o *onewriter) {
	db := open(t, o.primary, "multiStatements=true")
	db.SetMaxOpenConns(1)
	rows, err := db.Query("SELECT 1; CREATE TABLE multi (id INT); INSERT INTO multi VALUES (7); SELECT id FROM multi UNION SELECT 8; DROP TABLE multi; SELECT 9")
	if err != nil {
		t.Fatal(err)
	}
	if got := allResults(t, rows); got != "1|7,8|9" && got != "1|||7,8||9" {
		t.Errorf("results are %q", got)
	}
	_, err = db.Exec("DO 1; SELECT * FROM missing; DO 2")
	wantCode(t, err, 1146)
	mustExec(t, db, "DO 1")
}

// allResults joins the rows of all result sets.
func allResults(t *testing.T, rows *sql.Rows) string {
	t.Helper()
	defer func() { _ = rows.Close() }()
	var sets []string
	for {
		var values []string
		for rows.Next() {
			var v string
			if err := rows.Scan(&v); err != nil {
				t.Fatal(err)
			}
			values = append(values, v)
		}
		sets = append(sets, strings.Join(values, ","))
		if !rows.NextResultSet() {
			break
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(sets, "|")
}

func procedures(t *testing.T, o *onewriter) {
	db := open(t, o.primary, "")
	db.SetMaxOpenConns(1)
	mustExec(t, db, "CREATE PROCEDURE several(IN n INT) BEGIN SELECT n; SELECT n + 1 UNION SELECT n + 2; END")
	mustExec(t, db, "CREATE PROCEDURE out_parameter(INOUT x VARCHAR(50)) BEGIN SELECT 'row'; SET x = CONCAT(x, ' out'); END")
	for _, args := range [][]any{nil, {5}} { // text, then binary
		query := "CALL several(5)"
		if args != nil {
			query = "CALL several(?)"
		}
		rows, err := db.Query(query, args...)
		if err != nil {
			t.Fatal(err)
		}
		if got := allResults(t, rows); !strings.HasPrefix(got, "5|6,7") {
			t.Errorf("%s: results are %q", query, got)
		}
	}
	r := dialRaw(t, o.primary)
	id := r.prepare("CALL out_parameter(?)")
	if got := r.execute(id, "in", true); got != "row" {
		t.Errorf("first result is %q", got)
	}
	// The OUT parameters are a result set of their own, then comes the OK of the CALL.
	r.receive()
	r.receive()
	r.receiveEOF()
	if got := string(r.receive()[3:]); got != "in out" {
		t.Errorf("OUT parameter is %q", got)
	}
	end := r.receive()
	if end[0] != 0xfe || r.offered.Has(wire.ClientDeprecateEOF) && (end[3]&0x08 == 0 || end[4]&0x10 == 0) { // MySQL 5.6 tells before the row
		t.Errorf("end of the OUT parameters: % x, want the flags of more results and OUT parameters", end)
	}
	r.wantOK("end of CALL")
	r.exec("DO 1")
}

func bigPackets(t *testing.T, o *onewriter) {
	db := open(t, o.primary, "interpolateParams=true&maxAllowedPacket=67108864")
	db.SetMaxOpenConns(1)
	const limit = 1<<24 - 1
	for _, size := range []int{limit - 5, limit - 4, limit - 3, limit, limit + 1, 20 << 20} {
		var back string
		if err := db.QueryRow(fmt.Sprintf("SELECT REPEAT('r', %d)", size)).Scan(&back); err != nil {
			t.Fatalf("a row of %d bytes: %v", size, err)
		}
		if len(back) != size || strings.Trim(back, "r") != "" {
			t.Errorf("a row of %d bytes came as %d", size, len(back))
		}
	}
	head, tail := "SELECT LENGTH('", "')"
	for _, size := range []int{limit - 2, limit - 1, limit, 20 << 20} {
		value := strings.Repeat("s", size-len(head)-len(tail))
		var n int
		if err := db.QueryRow(head + value + tail).Scan(&n); err != nil || n != len(value) {
			t.Errorf("a statement of %d bytes: got %d, want %d, %v", size, n, len(value), err)
		}
	}
	var got []byte
	value := bytes.Repeat([]byte{0, 1, '\'', '\\', 0xff}, 4<<20)
	if err := db.QueryRow("SELECT ?", value).Scan(&got); err != nil || !bytes.Equal(got, value) {
		t.Errorf("20 MB there and back: %d bytes, %v", len(got), err)
	}
}

// sameBigPackets compares packets that are as long as can be, and payloads that take one more, byte by byte in both directions.
func sameBigPackets(t *testing.T, f mysqltest.Flavor, pair *mysqltest.Pair, o *onewriter) {
	caps := (matrixBase | wire.ClientDeprecateEOF) & offeredBy(t, pair.Servers[0].Addr())
	if f == mysqltest.MySQL {
		caps |= wire.ClientMySQL
	}
	direct := loginWith(t, pair.Servers[0].Addr(), "app", "app-secret", caps)
	proxied := loginWith(t, o.primary, "app", "app-secret", caps)
	step := func(what string, run func(c *talk)) {
		t.Helper()
		direct.log, proxied.log = nil, nil
		run(direct)
		proxied.follow = direct.log
		run(proxied)
		same(t, what, false, direct.log, proxied.log, nil)
	}
	var take, give [2]uint32 // ids of statements, at the server and through the proxy
	for i, c := range []*talk{direct, proxied} {
		take[i], give[i] = c.raw.prepare("SELECT LENGTH(?)"), c.raw.prepare("SELECT REPEAT('r', ?)")
	}
	of := func(ids [2]uint32, c *talk) uint32 {
		if c == direct {
			return ids[0]
		}
		return ids[1]
	}
	const (
		prefix    = 4 // of a string that takes three bytes to tell its length
		binaryRow = 2 // header and NULL bitmap
	)
	for i, size := range []int{wire.MaxPayload, wire.MaxPayload + 1} {
		step("statement", func(c *talk) {
			head, tail := c.query("SELECT LENGTH('"), "')"
			c.do(append(append(head, bytes.Repeat([]byte("s"), size-len(head)-len(tail))...), tail...)...)
		})
		step("binary row", func(c *talk) {
			filled(t, size, c.do(c.executing(of(give, c), 0, true, fmt.Sprint(size-prefix-binaryRow))...))
		})
		if i > 0 && !longTests() {
			continue
		}
		step("row", func(c *talk) {
			filled(t, size, c.sql(fmt.Sprintf("SELECT REPEAT('r', %d)", size-prefix)))
		})
		step("execution", func(c *talk) {
			empty := len(c.executing(of(take, c), 0, true, "")) - 1
			c.do(c.executing(of(take, c), 0, true, strings.Repeat("e", size-empty-prefix))...)
		})
	}
	proxied.wantSync()
}

// filled checks that a result of one row of size bytes fills a packet, and that the next one has the rest.
func filled(t *testing.T, size int, answer []packet) {
	t.Helper()
	if len(answer) == 6 { // with an EOF behind the definitions
		answer = answer[1:]
	}
	if len(answer) != 5 || len(answer[2].payload) != wire.MaxPayload || len(answer[3].payload) != size-wire.MaxPayload {
		t.Errorf("a row of %d bytes came in %d packets", size, len(answer)-3)
	}
}

func longData(t *testing.T, o *onewriter) {
	db := open(t, o.primary, "maxAllowedPacket=1048576") // beyond it the driver sends long data in pieces
	db.SetMaxOpenConns(1)
	mustExec(t, db, "CREATE TABLE blobs (id INT PRIMARY KEY, b LONGBLOB, s LONGTEXT, d DATETIME(6), f DOUBLE)")
	blob := bytes.Repeat([]byte{0, 0xff, 'x', '\n'}, 1<<20)
	at := time.Date(2024, 2, 29, 12, 34, 56, 789_000_000, time.UTC)
	for i := range 3 {
		mustExec(t, db, "INSERT INTO blobs VALUES (?, ?, ?, ?, ?)", i, blob, nil, at, 1.5)
	}
	back := open(t, o.primary, "parseTime=true")
	rows, err := back.Query("SELECT b, s, d, f FROM blobs WHERE id >= ?", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	n := 0
	for rows.Next() {
		var b []byte
		var s sql.NullString
		var d time.Time
		var f float64
		if err := rows.Scan(&b, &s, &d, &f); err != nil {
			t.Fatal(err)
		}
		if n++; !bytes.Equal(b, blob) || s.Valid || !d.Equal(at) || f != 1.5 {
			t.Errorf("row came back as %d bytes, %v, %v, %v", len(b), s, d, f)
		}
	}
	if err := rows.Err(); err != nil || n != 2 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func errorAmidResult(t *testing.T, o *onewriter) {
	db := open(t, o.primary, "multiStatements=true")
	db.SetMaxOpenConns(1)
	mustExec(t, db, "CREATE TABLE numbers (id INT PRIMARY KEY)")
	for i := range 10 {
		values := make([]string, 500)
		for j := range values {
			values[j] = fmt.Sprintf("(%d)", 500*i+j)
		}
		mustExec(t, db, "INSERT INTO numbers VALUES "+strings.Join(values, ","))
	}
	rows, err := db.Query("SELECT REPEAT('x', 100), (SELECT 1 FROM numbers u WHERE u.id = n.id UNION ALL SELECT 1 FROM numbers v WHERE v.id = n.id AND n.id >= 4990) FROM numbers n ORDER BY n.id")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		n++
	}
	wantCode(t, rows.Err(), 1242)
	if n < 1000 {
		t.Errorf("the error came after %d rows: not amid the result", n)
	}
	_ = rows.Close()
	var one int
	if err := db.QueryRow("SELECT 1").Scan(&one); err != nil {
		t.Errorf("after the error: %v", err)
	}
}

func killQuery(t *testing.T, o *onewriter) {
	sleeper := pinnedConn(t, open(t, o.primary, ""))
	for _, moved := range []bool{false, true} {
		if moved {
			o.mustSwitch("{}")
		}
		id := connectionID(t, sleeper)
		done := make(chan error, 1)
		began := time.Now()
		go func() {
			_, err := sleeper.ExecContext(context.WithoutCancel(t.Context()), "SELECT SLEEP(20)")
			done <- err
		}()
		time.Sleep(300 * time.Millisecond)
		mustExec(t, open(t, o.primary, ""), fmt.Sprintf("KILL QUERY %d", id))
		select {
		case err := <-done: // MySQL's SLEEP returns 1, MariaDB's ends with error 1317
			if err != nil {
				wantCode(t, err, 1317)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("KILL QUERY has no effect (moved: %v)", moved)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("KILL QUERY took %s", took)
		}
		if again := connectionID(t, sleeper); again != id {
			t.Errorf("the connection changed from %d to %d", id, again)
		}
	}
}

func changeUser(t *testing.T, f mysqltest.Flavor, o *onewriter) {
	root := primaryDB(t, o)
	mustExec(t, root, "CREATE USER 'second'@'%' IDENTIFIED BY 'second-secret'")
	mustExec(t, root, "GRANT ALL ON app.* TO 'second'@'%'")
	mustExec(t, root, "CREATE DATABASE others")
	mustExec(t, root, "GRANT ALL ON others.* TO 'second'@'%'")
	r := dialRaw(t, o.primary)
	r.exec("SET sql_mode='ANSI'")
	r.exec("SET @v = 1")
	cu := wire.ChangeUser{User: "second", Database: "others", Charset: 45, Plugin: "mysql_native_password"}
	cu.Auth = scramble(cu.Plugin, "second-secret", r.salt)
	greeted := r.salt
	r.send(cu.AppendTo(nil, rawCapabilities)...)
	r.prove("second-secret")
	if f == mysqltest.MariaDB && !bytes.Equal(r.salt, greeted) {
		t.Error("the salt of mysql_native_password is not that of the greeting, which libmariadb answers")
	}
	if got := r.text("SELECT CONCAT_WS(',', SUBSTRING_INDEX(CURRENT_USER(), '@', 1), DATABASE(), @v IS NULL)"); got[0] != "second,others,1" {
		t.Errorf("after the change of user: %q", got)
	}
	o.mustSwitch("{}")
	if got := r.text("SELECT CONCAT_WS(',', SUBSTRING_INDEX(CURRENT_USER(), '@', 1), DATABASE(), @@sql_mode LIKE '%ANSI%')"); got[0] != "second,others,0" {
		t.Errorf("after change of user and switchover: %q", got)
	}
	refusedChanges(t, f, r, func() { o.mustSwitch("{}") })
}

// refusedChanges tries to become a user that the server refuses. MySQL hangs up then, MariaDB goes on with the user before,
// reset and with the server's character sets, and takes three of them.
func refusedChanges(t *testing.T, f mysqltest.Flavor, r *raw, move func()) {
	t.Helper()
	refuse := func(code uint16, schema string) {
		t.Helper()
		r.send(wire.ChangeUser{User: "second", Database: schema, Charset: 45, Plugin: "mysql_native_password"}.AppendTo(nil, rawCapabilities)...)
		password := "wrong"
		if code == 1044 {
			password = "second-secret"
		}
		wantErr(t, "refused change of user", r.answer(password), code)
	}
	r.exec("SET NAMES cp1250 COLLATE cp1250_bin")
	r.exec("SET sql_mode='ANSI', @v=1, autocommit=0")
	if f == mysqltest.MySQL {
		refuse(1045, "others")
		r.send(wire.ComPing)
		if p, err := r.read(); err == nil {
			t.Errorf("after a refused change of user: %q", p)
		}
		return
	}
	state := func(what string) {
		t.Helper()
		const want = "second,others,1,1,1,0,1,1"
		if got := r.text("SELECT CONCAT_WS(',', SUBSTRING_INDEX(CURRENT_USER(), '@', 1), DATABASE(), @@character_set_client=@@global.character_set_client," +
			" @@collation_connection=@@global.collation_connection, @@character_set_results=@@global.character_set_results," +
			" @@sql_mode LIKE '%ANSI%', @v IS NULL, @@autocommit=1)"); got[0] != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	refuse(1045, "others")
	state("after a refused change of user")
	refuse(1044, "mysql")
	state("after a change of user to a schema that it may not use")
	refuse(1045, "others")
	r.send(wire.ChangeUser{User: "second", Charset: 45, Plugin: "mysql_native_password"}.AppendTo(nil, rawCapabilities)...)
	wantErr(t, "a change of user after three refusals", r.answer("second-secret"), 1047)
	state("after too many changes of user")
	move()
	state("after refused changes of user and a switchover")
}

// primaryDB is a pool of root at the server that is primary now.
func primaryDB(t *testing.T, o *onewriter) *sql.DB {
	t.Helper()
	st := o.status()
	for _, s := range st.Servers {
		if s.Name == st.Primary {
			return openAs(t, "root", mysqltest.RootPassword, s.Address, "", "")
		}
	}
	t.Fatalf("no primary: %+v", st)
	return nil
}

func openAs(t *testing.T, user, password, addr, schema, params string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", user+":"+password+"@tcp("+addr+")/"+schema+"?"+params)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func tlsAndPlain(t *testing.T, o *onewriter) {
	for _, mode := range []string{"skip-verify", "preferred", "false"} {
		db := open(t, o.primary, "tls="+mode)
		db.SetMaxOpenConns(1)
		mustExec(t, db, "DO 1")
		o.mustSwitch("{}")
		var big string
		if err := db.QueryRow("SELECT REPEAT('t', 1000000)").Scan(&big); err != nil || len(big) != 1_000_000 {
			t.Errorf("tls=%s: %d bytes, %v", mode, len(big), err)
		}
	}
	err := open(t, o.primary, "tls=true").Ping()
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a client that verifies got %v for a self-signed certificate", err)
	}
}

func cachingSHA2(t *testing.T, o *onewriter) {
	root := primaryDB(t, o)
	for _, u := range []string{"rsa", "tls"} {
		mustExec(t, root, "CREATE USER '"+u+"'@'%' IDENTIFIED WITH caching_sha2_password BY 'p-"+u+"'")
		mustExec(t, root, "GRANT ALL ON app.* TO '"+u+"'@'%'")
	}
	if r := loginRaw(t, o.primary, "rsa", "p-rsa"); r.path != "rsa" {
		t.Errorf("the first login went the way %q, want the RSA key", r.path)
	}
	if r := loginRaw(t, o.primary, "rsa", "p-rsa"); r.path != "fast" {
		t.Errorf("the second login went the way %q, want fast", r.path)
	}
	if err := openAs(t, "tls", "p-tls", o.primary, "app", "tls=skip-verify").Ping(); err != nil {
		t.Errorf("first login by TLS: %v", err)
	}
	r := loginRaw(t, o.primary, "tls", "p-tls")
	if r.path != "fast" {
		t.Errorf("the login after one by TLS went the way %q, want fast", r.path)
	}
	// The other server has never seen this account log in; the session moves there nevertheless.
	o.mustSwitch("{}")
	if got := r.text("SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1)"); got[0] != "tls" {
		t.Errorf("after the switchover: %q", got)
	}
	mustExec(t, primaryDB(t, o), "ALTER USER 'tls'@'%' IDENTIFIED BY 'changed'")
	wantCode(t, openAs(t, "tls", "p-tls", o.primary, "app", "tls=skip-verify").Ping(), 1045)
	if err := openAs(t, "tls", "changed", o.primary, "app", "tls=skip-verify").Ping(); err != nil {
		t.Errorf("login with the changed password: %v", err)
	}
}

func nativePassword(t *testing.T, o *onewriter) {
	r := dialRaw(t, o.primary)
	for range 2 {
		if got := r.text("SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1)"); got[0] != mysqltest.AppUser {
			t.Errorf("user is %q", got)
		}
		o.mustSwitch("{}")
	}
	mustExec(t, primaryDB(t, o), "CREATE USER 'brandnew'@'%' IDENTIFIED BY 'p1'")
	mustExec(t, primaryDB(t, o), "GRANT ALL ON app.* TO 'brandnew'@'%'")
	if err := openAs(t, "brandnew", "p1", o.primary, "app", "").Ping(); err != nil {
		t.Errorf("login right after CREATE USER: %v", err)
	}
	mustExec(t, primaryDB(t, o), "ALTER USER 'brandnew'@'%' IDENTIFIED BY 'p2'")
	wantCode(t, openAs(t, "brandnew", "p1", o.primary, "app", "").Ping(), 1045)
	if err := openAs(t, "brandnew", "p2", o.primary, "app", "").Ping(); err != nil {
		t.Errorf("login right after the change of the password: %v", err)
	}
}
