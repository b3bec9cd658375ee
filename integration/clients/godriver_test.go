package clients

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// goMatrix is one run of the Go driver.
type goMatrix struct {
	t    *testing.T
	out  strings.Builder
	addr string
	tls  string
}

// goDriver is what an application does with database/sql and the Go driver, in the text protocol (interpolateParams) and in
// the binary one.
func goDriver(t *testing.T, addr, mode string, move func()) string {
	m := &goMatrix{t: t, addr: addr, tls: "false"}
	if mode == "tls" {
		m.tls = "skip-verify"
	}
	for _, params := range []string{"interpolateParams=true", ""} {
		db := m.open(params + "&multiStatements=true&parseTime=true&maxAllowedPacket=67108864&tls=" + m.tls)
		db.SetMaxOpenConns(1)
		m.say("params", params)
		m.types(db)
		m.blobs(db)
		m.streaming(db)
		m.procedures(db)
		m.infile(db)
		m.errors(db)
		m.transactions(db)
		m.moving(move)
		m.cancel(params)
	}
	m.say("done")
	return m.out.String()
}

func (m *goMatrix) say(what string, values ...any) {
	fmt.Fprintln(&m.out, append([]any{what}, values...)...)
}

func (m *goMatrix) open(params string) *sql.DB {
	db, err := sql.Open("mysql", mysqltest.AppUser+":"+mysqltest.AppPassword+"@tcp("+m.addr+")/app?"+params)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = db.Close() })
	return db
}

func (m *goMatrix) exec(db *sql.DB, query string, args ...any) {
	m.t.Helper()
	res, err := db.Exec(query, args...)
	if err != nil {
		m.t.Fatalf("%.200s: %v", query, err)
	}
	n, _ := res.RowsAffected()
	m.say("affected", n)
}

// query tells all results of a query.
func (m *goMatrix) query(db *sql.DB, query string, args ...any) {
	m.t.Helper()
	rows, err := db.Query(query, args...)
	if err != nil {
		m.say("error", err)
		return
	}
	defer func() { _ = rows.Close() }()
	for {
		types, _ := rows.ColumnTypes()
		values, pointers := make([]any, len(types)), make([]any, len(types))
		for i, ct := range types {
			nullable, _ := ct.Nullable()
			m.say("column", ct.Name(), ct.DatabaseTypeName(), nullable)
			pointers[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(pointers...); err != nil {
				m.t.Fatal(err)
			}
			for _, v := range values {
				m.say(fmt.Sprintf("%T %.300q", v, fmt.Sprint(v)))
			}
		}
		if !rows.NextResultSet() {
			break
		}
	}
	m.say("end", rows.Err())
}

func (m *goMatrix) types(db *sql.DB) {
	m.exec(db, "DROP TABLE IF EXISTS t, rows_, blobs, infile_")
	m.exec(db, "DROP PROCEDURE IF EXISTS several")
	m.exec(db, "CREATE TABLE t (id INT PRIMARY KEY, i8 TINYINT, u64 BIGINT UNSIGNED, d DECIMAL(30,10), f DOUBLE, fl FLOAT, dt DATETIME(6), ts TIMESTAMP(3) NULL,"+
		" da DATE, ti TIME(6), y YEAR, v VARCHAR(200), b VARBINARY(50), tx LONGTEXT, e ENUM('x','y'), s SET('a','b','c'), bi BIT(12), j JSON, n INT) DEFAULT CHARSET utf8mb4")
	for id := range 3 {
		m.exec(db, "INSERT INTO t VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", id, -128, uint64(1<<64-1), "-12345678901234567890.0123456789", 1.5e300, float32(0.25),
			time.Date(2024, 2, 29, 12, 34, 56, 789_012_000, time.UTC), "2024-02-29 01:02:03.4", "1999-12-31", "-838:59:00", 2155, "Ünï€😀'\"\\",
			[]byte("\x00\x01\xff'\\"), strings.Repeat("x", 70000), "y", "a,c", []byte{0x0a, 0xbc}, `{"k": [1, null, "v"]}`, nil)
	}
	m.query(db, "SELECT * FROM t WHERE id > ? ORDER BY id", 0)
	m.query(db, "SELECT ?, ?, ?, ?", int64(-1), "s", []byte("b"), nil)
}

func (m *goMatrix) blobs(db *sql.DB) {
	blob := make([]byte, 20<<20)
	_, _ = rand.Read(blob)
	m.exec(db, "CREATE TABLE blobs (id INT PRIMARY KEY, b LONGBLOB)")
	m.exec(db, "INSERT INTO blobs VALUES (?, ?)", 1, blob)
	var back []byte
	err := db.QueryRow("SELECT b FROM blobs WHERE id=?", 1).Scan(&back)
	m.say("blob", bytes.Equal(blob, back), err)
}

func (m *goMatrix) streaming(db *sql.DB) {
	m.exec(db, "CREATE TABLE rows_ (id INT PRIMARY KEY, v VARCHAR(300))")
	values := make([]string, 5000)
	for i := range values {
		values[i] = fmt.Sprintf("(%d,'%s')", i, strings.Repeat("v", i%300))
	}
	m.exec(db, "INSERT INTO rows_ VALUES "+strings.Join(values, ","))
	sum, n := md5.New(), 0
	for _, limit := range []int{1 << 30, 3} { // the second time the rest is dropped
		rows, err := db.Query("SELECT id, v FROM rows_ WHERE id >= ? ORDER BY id", 10)
		if err != nil {
			m.t.Fatal(err)
		}
		for range limit {
			if !rows.Next() {
				break
			}
			var id, v string
			if err := rows.Scan(&id, &v); err != nil {
				m.t.Fatal(err)
			}
			_, _ = io.WriteString(sum, id+v)
			n++
		}
		m.say("streamed", n, fmt.Sprintf("%x", sum.Sum(nil)), rows.Err(), rows.Close())
	}
}

func (m *goMatrix) procedures(db *sql.DB) {
	m.exec(db, "CREATE PROCEDURE several(IN n INT, INOUT x VARCHAR(50)) BEGIN SELECT n; SELECT n+1 UNION SELECT n+2; SET x = CONCAT(x, ' out'); END")
	m.query(db, "SET @x='in'")
	m.query(db, "CALL several(?, @x)", 5)
	m.query(db, "SELECT @x")
	m.query(db, "SELECT 1 AS a; UPDATE t SET i8=1; SELECT 'b' AS b; DO 1")
	m.query(db, "SELECT 1 AS a; SELECT * FROM nowhere; SELECT 2")
	m.query(db, "SELECT 'still'")
}

func (m *goMatrix) infile(db *sql.DB) {
	m.exec(db, "CREATE TABLE infile_ (id INT PRIMARY KEY, v VARCHAR(50))")
	mysql.RegisterReaderHandler(m.t.Name(), func() io.Reader {
		var b bytes.Buffer
		for i := range 50_000 {
			fmt.Fprintf(&b, "%d\tline %d\n", i, i)
		}
		return &b
	})
	defer mysql.DeregisterReaderHandler(m.t.Name())
	m.exec(db, "LOAD DATA LOCAL INFILE 'Reader::"+m.t.Name()+"' INTO TABLE infile_")
	_, err := db.Exec("LOAD DATA LOCAL INFILE 'Reader::" + m.t.Name() + "' INTO TABLE nowhere")
	m.say("infile to nowhere", err)
	m.query(db, "SELECT COUNT(*), MAX(v) FROM infile_")
}

func (m *goMatrix) errors(db *sql.DB) {
	for _, q := range []string{"SELEC 1", "SELECT * FROM nowhere WHERE 1=?", "INSERT INTO t (id) VALUES (?)", "DROP DATABASE mysql"} {
		var args []any
		if strings.Contains(q, "?") {
			args = []any{1}
		}
		_, err := db.Exec(q, args...)
		m.say("error", err)
	}
}

func (m *goMatrix) transactions(db *sql.DB) {
	for i, o := range []*sql.TxOptions{nil, {Isolation: sql.LevelSerializable}, {ReadOnly: true}} {
		tx, err := db.BeginTx(m.t.Context(), o)
		if err != nil {
			m.t.Fatal(err)
		}
		_, err = tx.Exec("INSERT INTO t (id) VALUES (?)", 100+i)
		m.say("insert", err)
		if i == 0 {
			m.say("rollback", tx.Rollback())
		} else {
			m.say("commit", tx.Commit())
		}
	}
	m.query(db, "SELECT id FROM t WHERE id >= ?", 100)
}

// moving keeps a session with state and a prepared statement over moves of the primary role.
func (m *goMatrix) moving(move func()) {
	db := m.open("parseTime=true&time_zone=%27%2B03%3A00%27&tls=" + m.tls + fmt.Sprintf("&compress=%t", m.tls != "false"))
	db.SetMaxOpenConns(1)
	m.exec(db, "SET sql_mode='ANSI_QUOTES', group_concat_max_len=4321")
	m.exec(db, "REPLACE INTO blobs VALUES (2, '"+strings.Repeat("v", 2<<20)+"')") // more than is inspected
	kept, err := db.Prepare("SELECT id, i8 FROM t WHERE id=?")
	if err != nil {
		m.t.Fatal(err)
	}
	defer func() { _ = kept.Close() }()
	for i := range 2 {
		move()
		var id, i8 int
		err := kept.QueryRow(1).Scan(&id, &i8)
		m.say("kept", id, i8, err)
		m.query(db, "SELECT @@time_zone, @@sql_mode, @@group_concat_max_len, DATABASE()")
		m.exec(db, "INSERT INTO t (id) VALUES (?)", 200+i)
	}
}

// cancel ends a query by its context, which breaks the connection, and one by KILL QUERY from another session.
func (m *goMatrix) cancel(params string) {
	db := m.open(params + "&tls=" + m.tls) // the other one is pinned by @x, and was ended by the move
	db.SetMaxOpenConns(1)
	const long = "SELECT COUNT(*) FROM rows_ a, rows_ b, rows_ c WHERE a.v <> b.v AND b.v <> c.v"
	ctx, stop := context.WithTimeout(m.t.Context(), 100*time.Millisecond)
	err := count(db.QueryContext(ctx, "SELECT SLEEP(2)")) // the server goes on with it
	stop()
	m.say("cancelled", err != nil)
	conn, err := db.Conn(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	var id uint64
	if err := conn.QueryRowContext(m.t.Context(), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		m.t.Fatal(err)
	}
	killer := m.open("")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); { // until the query runs
			var running int
			_ = killer.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE id=? AND command IN ('Query', 'Execute') AND info LIKE 'SELECT COUNT%'", id).Scan(&running)
			if running > 0 {
				break
			}
		}
		_, _ = killer.Exec(fmt.Sprintf("KILL QUERY %d", id))
	}()
	err = count(conn.QueryContext(m.t.Context(), long))
	<-done
	me := (*mysql.MySQLError)(nil)
	m.say("killed", errors.As(err, &me) && me.Number == 1317)
	var alive string
	err = conn.QueryRowContext(m.t.Context(), "SELECT 'alive'").Scan(&alive)
	m.say("then", alive, err)
	if _, err := killer.Exec(fmt.Sprintf("KILL %d", id)); err != nil {
		m.t.Fatal(err)
	}
	_, err = conn.ExecContext(m.t.Context(), "DO 1")
	m.say("lost", err != nil)
	_ = conn.Close()
	m.query(db, "SELECT 'reconnected'")
}

// count reads the rows of a query and gives the error that ended it.
func count(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	return errors.Join(rows.Err(), rows.Close())
}
