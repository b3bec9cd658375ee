package rewind_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/failover/rewind"
	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

var flavors = []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL}

// duo is an old primary a that was cut off, and a standby b that became primary.
type duo struct {
	t    *testing.T
	pair *mysqltest.Pair
	a, b *mysqltest.Server
	d    flavor.Dialect
	had  gtid.Position // end of a's binary log when it was cut off
}

func startDuo(t *testing.T, o mysqltest.PairOptions) *duo {
	t.Helper()
	mysqltest.RequireFlavor(t, o.Flavor)
	o.Fast = o.Config == nil || o.Config["innodb-flush-log-at-trx-commit"] == ""
	ctx, cancel := context.WithTimeout(context.Background(), 120*time.Second)
	defer cancel()
	p, err := mysqltest.StartPair(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	x := &duo{t: t, pair: p, a: p.Servers[0], b: p.Servers[1]}
	if x.d, err = flavor.Detect(ctx, x.a.DB()); err != nil {
		t.Fatal(err)
	}
	return x
}

func (x *duo) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	x.t.Cleanup(cancel)
	return ctx
}

type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func (x *duo) run(q execer, statements ...string) {
	x.t.Helper()
	for _, s := range statements {
		if _, err := q.ExecContext(x.ctx(), s); err != nil {
			x.t.Fatalf("%.300s: %v", s, err)
		}
	}
}

func (x *duo) check(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

// settle waits until b has everything that a has.
func (x *duo) settle(ahead, behind *mysqltest.Server) {
	x.t.Helper()
	for range 600 {
		p, err := x.d.Position(x.ctx(), ahead.DB())
		x.check(err)
		q, err := x.d.Position(x.ctx(), behind.DB())
		x.check(err)
		if q.Contains(p) {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	x.t.Fatalf("the servers do not become equal: %s", behind.Log())
}

// part cuts the two off from each other after b has caught up; only then a writes what b never gets.
func (x *duo) part() {
	x.t.Helper()
	x.settle(x.a, x.b)
	for _, s := range x.pair.Servers {
		x.check(x.d.StopReplica(x.ctx(), s.DB(), "", flavor.BothThreads))
	}
	logs, err := binlog.Logs(x.ctx(), x.a.DB())
	x.check(err)
	x.had = logs[len(logs)-1].End()
	x.check(x.b.SetReadOnly(x.ctx(), false))
}

// close makes a read-only.
func (x *duo) close() {
	x.t.Helper()
	x.check(x.a.SetReadOnly(x.ctx(), true))
}

func (x *duo) source() binlog.Source {
	return binlog.Source{Address: x.a.Addr(), User: "root", Password: mysqltest.RootPassword, Flavor: x.a.Flavor.String(), ServerID: 4000000001}
}

// target is a, as root, compared with b.
func (x *duo) target() rewind.Target {
	x.t.Helper()
	have, err := x.d.Position(x.ctx(), x.b.DB())
	x.check(err)
	return rewind.Target{Name: "a", DB: x.a.DB(), Dialect: x.d, Have: have, Binlog: x.source(), ControlUser: "root"}
}

func (x *duo) errant() []binlog.Transaction {
	x.t.Helper()
	have := x.target().Have
	if have.Kind() == gtid.KindFile {
		have = x.had
	}
	list, err := binlog.Errant(x.ctx(), x.source(), x.a.DB(), have)
	x.check(err)
	return list
}

func (x *duo) plan() (rewind.Plan, error) {
	x.t.Helper()
	return rewind.MakePlan(x.ctx(), x.target(), x.errant())
}

// rejoin makes a follow b and waits until it has everything.
func (x *duo) rejoin() {
	x.t.Helper()
	x.check(x.d.StartReplica(x.ctx(), x.a.DB(), "", flavor.BothThreads))
	x.settle(x.b, x.a)
}

func (x *duo) equal(tables ...string) {
	x.t.Helper()
	b := x.target()
	b.Name, b.DB = "b", x.b.DB()
	for tries := 0; ; tries++ {
		c, err := rewind.Verify(x.ctx(), x.target(), b, tables)
		x.check(err)
		if len(c.Equal) == len(tables) {
			return
		}
		if tries == 40 { // MariaDB's position has a transaction that its tables show a moment later
			x.t.Fatalf("compared %+v", c)
		}
		time.Sleep(25 * time.Millisecond)
	}
}

var typesTable = `CREATE TABLE app.types (
 id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, ti TINYINT UNSIGNED, si SMALLINT, mi MEDIUMINT UNSIGNED, i INT, bi BIGINT UNSIGNED,
 de DECIMAL(20,6), f FLOAT, db DOUBLE, dt DATETIME(6), ts TIMESTAMP(3) NULL ON UPDATE CURRENT_TIMESTAMP(3), da DATE, tm TIME(2), y YEAR,
 j JSON, b BLOB, lb LONGBLOB, e ENUM('one','two','drei'), s SET('a','b','c','d'), bt BIT(10), c CHAR(10) CHARACTER SET utf8mb4, vc VARCHAR(300) CHARACTER SET utf8mb4,
 l1 VARCHAR(50) CHARACTER SET latin1, bin BINARY(6), vb VARBINARY(20), tx TEXT CHARACTER SET utf8mb4,
 c4 CHAR(255) CHARACTER SET utf8mb4, gv INT AS (i + 1) VIRTUAL, gs VARCHAR(330) CHARACTER SET utf8mb4 AS (CONCAT(vc, '!')) STORED, n VARCHAR(10) NOT NULL DEFAULT 'x')`

// tables makes the three tables that tests write to, with rows in them.
func (x *duo) tables() {
	x.t.Helper()
	x.run(x.a.DB(), typesTable,
		"CREATE TABLE app.words (w VARCHAR(50) CHARACTER SET utf8mb4 NOT NULL, part INT NOT NULL, v DOUBLE, PRIMARY KEY (w, part), UNIQUE KEY (v))",
		"CREATE TABLE app.loose (a INT, f FLOAT, t TEXT CHARACTER SET utf8mb4, d DATETIME(3))")
	w := &writer{x: x, db: x.a.DB(), rand: rand.New(rand.NewPCG(1, 2))}
	for range 40 {
		w.insert()
	}
}

// writer writes at random.
type writer struct {
	x    *duo
	db   execer
	rand *rand.Rand
	n    int
}

var strangeText = []string{"", "plain", "it's", `back\slash`, "zwei\nZeilen\t\x00\x1a", "Größe 😀 ñ", "\"quoted\"", "trailing  "}

func (w *writer) text() string { return strangeText[w.rand.IntN(len(strangeText))] }

// maybe gives v, or NULL now and then.
func (w *writer) maybe(v any) any {
	if w.rand.IntN(5) == 0 {
		return nil
	}
	return v
}

func (w *writer) blob() []byte {
	b := make([]byte, w.rand.IntN(3000))
	for i := range b {
		b[i] = byte(w.rand.Uint32())
	}
	return b
}

func (w *writer) values() []any {
	r := w.rand
	at := time.Date(1990+r.IntN(40), time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1e9), time.UTC)
	return []any{
		w.maybe(r.IntN(256)), w.maybe(r.IntN(65536) - 32768), w.maybe(r.IntN(1 << 24)), w.maybe(int32(r.Uint32()) / 2), w.maybe(r.Uint64()),
		w.maybe(fmt.Sprintf("%d.%06d", r.IntN(2_000_000)-1_000_000, r.IntN(1_000_000))), w.maybe(r.Float32() * 1000), w.maybe(r.NormFloat64() * 1e10),
		w.maybe(at.Format("2006-01-02 15:04:05.000000")), w.maybe(at.Format("2006-01-02 15:04:05.000")), w.maybe(at.Format("2006-01-02")),
		w.maybe(fmt.Sprintf("-%d:%02d:07.%02d", r.IntN(800), r.IntN(60), r.IntN(100))), w.maybe(1901 + r.IntN(200)),
		w.maybe(fmt.Sprintf(`{"a": [1, 2.5, null, true, "Grö\n😀"], "b": {"n": %d}, "s": "%d"}`, r.IntN(1e6), r.IntN(9))), w.maybe(w.blob()), w.maybe(w.blob()),
		w.maybe(1 + r.IntN(3)), w.maybe(r.IntN(16)), w.maybe(r.IntN(1024)), w.maybe("ch😀 "), w.maybe(w.text()),
		w.maybe("café"), w.maybe([]byte{1, 2, 0}), w.maybe([]byte{0xff, 0, 0x27, 0x5c}), w.maybe(strings.Repeat(w.text(), r.IntN(200))),
		w.maybe(strings.Repeat("ß", r.IntN(256))),
	}
}

const typeColumns = "ti, si, mi, i, bi, de, f, db, dt, ts, da, tm, y, j, b, lb, e, s, bt, c, vc, l1, bin, vb, tx, c4"

func (w *writer) exec(query string, args ...any) {
	w.x.t.Helper()
	if _, err := w.db.ExecContext(w.x.ctx(), query, args...); err != nil {
		w.x.t.Fatalf("%.200s: %v", query, err)
	}
}

func (w *writer) insert() {
	w.n++
	values := w.values()
	w.exec("INSERT INTO app.types ("+typeColumns+") VALUES (?"+strings.Repeat(", ?", len(values)-1)+")", values...)
	w.exec("INSERT INTO app.words VALUES (?, ?, ?)", fmt.Sprintf("wörd%d %s", w.n, w.text()), w.rand.Int32(), w.rand.NormFloat64())
	w.exec("INSERT INTO app.loose VALUES (?, ?, ?, NOW(3))", w.rand.Int32(), w.rand.Float32(), w.text())
}

// step writes one transaction.
func (w *writer) step() {
	w.exec("BEGIN")
	for range 1 + w.rand.IntN(3) {
		switch w.rand.IntN(5) {
		case 0:
			w.insert()
		case 1:
			values := w.values()
			w.exec("UPDATE app.types SET "+strings.ReplaceAll(typeColumns, ",", " = ?,")+" = ? ORDER BY RAND(?) LIMIT 1", append(values, w.rand.Int32())...)
			w.exec("UPDATE app.types SET si = ? ORDER BY id DESC LIMIT 2", w.rand.IntN(1000))
		case 2:
			w.exec("UPDATE app.words SET w = CONCAT(w, 'ß'), v = v + 1e-3 WHERE CHAR_LENGTH(w) < 40 ORDER BY v DESC LIMIT 2")
			w.exec("UPDATE app.types SET id = id + 1000000 ORDER BY id DESC LIMIT 1")
		case 3:
			w.exec("UPDATE app.loose SET t = CONCAT(COALESCE(t, ''), 'x'), f = f / 3 LIMIT 3")
			w.exec("DELETE FROM app.loose ORDER BY a LIMIT 1")
		case 4:
			w.exec("DELETE FROM app.types ORDER BY RAND(?) LIMIT 1", w.rand.Int32())
			w.exec("DELETE FROM app.words ORDER BY RAND(?) LIMIT 1", w.rand.Int32())
		}
	}
	w.exec("COMMIT")
}

// session gives one connection to s.
func (x *duo) session(s *mysqltest.Server) *sql.Conn {
	x.t.Helper()
	c, err := s.DB().Conn(x.ctx())
	x.check(err)
	x.t.Cleanup(func() { _ = c.Close() }) // the server may be gone
	return c
}

// caughtUp waits until the table is the same on both.
func (x *duo) caughtUp(table string) {
	x.t.Helper()
	for range 400 {
		one, err := x.a.Row(x.ctx(), "CHECKSUM TABLE "+table)
		x.check(err)
		other, err := x.b.Row(x.ctx(), "CHECKSUM TABLE "+table)
		x.check(err)
		if one["Checksum"] != "" && one["Checksum"] == other["Checksum"] {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	x.t.Fatalf("%s does not become equal", table)
}

// part2 is part for pairs whose positions cannot be compared.
func (x *duo) part2() {
	x.t.Helper()
	for _, s := range x.pair.Servers {
		x.check(x.d.StopReplica(x.ctx(), s.DB(), "", flavor.BothThreads))
	}
	logs, err := binlog.Logs(x.ctx(), x.a.DB())
	x.check(err)
	x.had = logs[len(logs)-1].End()
	x.check(x.b.SetReadOnly(x.ctx(), false))
}

// errantSince lists what a has written since it was cut off, by place.
func (x *duo) errantSince() []binlog.Transaction {
	x.t.Helper()
	list, err := binlog.Errant(x.ctx(), x.source(), x.a.DB(), x.had)
	x.check(err)
	return list
}
