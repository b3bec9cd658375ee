package sqlclass

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// flavours says on which servers a statement is legal.
type flavours uint8

const (
	onMariaDB flavours = 1 << iota
	onMySQL
	onBoth = onMariaDB | onMySQL
)

// serverTests are statements as a server takes them. Those called read-only are
// run in a read-only transaction on a read-only server.
var serverTests = []struct {
	on  flavours
	sql string
}{
	{onBoth, "SELECT 1"},
	{onBoth, "SELECT COUNT(*), MAX(a) FROM t WHERE a IN (1, 2) GROUP BY b HAVING COUNT(*) > 0"},
	{onBoth, "SELECT LAST_INSERT_ID(), FOUND_ROWS(), ROW_COUNT(), CONNECTION_ID()"},
	{onBoth, "SELECT @@identity, @@session.last_insert_id, @@warning_count"},
	{onBoth, "SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 1"},
	{onBoth, "SELECT a FROM t FORCE INDEX FOR JOIN (k)"},
	{onBoth, "SELECT SUBSTRING('abc' FROM 1 FOR 2), CAST(1 AS CHAR(3)), UUID(), NOW(6), RAND()"},
	{onBoth, "SELECT IS_FREE_LOCK('x'), IS_USED_LOCK('x')"},
	{onBoth, "SELECT @a"},
	{onBoth, "SELECT /*!40001 SQL_NO_CACHE */ a FROM t"},
	{onBoth, "(SELECT 1) UNION (SELECT 2)"},
	{onBoth, "WITH RECURSIVE x (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM x WHERE n < 3) SELECT n FROM x"},
	{onBoth, "SELECT ROW_NUMBER() OVER (PARTITION BY b ORDER BY a) FROM t"},
	{onBoth, "DO SLEEP(0)"},
	{onBoth, "EXPLAIN SELECT * FROM t"},
	{onBoth, "DESCRIBE t"},
	{onBoth, "SHOW WARNINGS"},
	{onBoth, "SHOW COUNT(*) ERRORS"},
	{onBoth, "SHOW CREATE TABLE t"},
	{onBoth, "SHOW VARIABLES LIKE 'version%'"},
	{onBoth, "SHOW PROCESSLIST"},
	{onBoth, "SHOW TABLE STATUS"},
	{onBoth, "HELP 'select'"},
	{onMariaDB, "VALUES (1, 2), (3, 4)"},
	{onMySQL, "VALUES ROW(1, 2), ROW(3, 4)"},
	{onMySQL, "TABLE t ORDER BY a LIMIT 3"},
	{onMySQL, "EXPLAIN ANALYZE SELECT * FROM t"},
	{onMySQL, "EXPLAIN FORMAT=TREE FOR SCHEMA app SELECT * FROM t"},
	{onMySQL, "(SELECT a FROM t) INTERSECT (SELECT b FROM t) ORDER BY 1"},
	{onMySQL, "SELECT x FROM JSON_TABLE('[1]', '$[*]' COLUMNS (x INT PATH '$')) AS j, LATERAL (SELECT 1) AS l"},
	{onMySQL, "SELECT 1 MEMBER OF ('[1]'), JSON_VALUE('{}', '$.a'), VECTOR_DIM(TO_VECTOR('[1,2]')), REGEXP_LIKE('a', 'a')"},
	{onMySQL, "SELECT /*+ SET_VAR(sort_buffer_size=200000) */ GROUPING(a) FROM t GROUP BY a WITH ROLLUP"},
	{onMySQL, "SELECT $a FROM (SELECT 1 AS $a) AS $d"},
	{onMariaDB, "ANALYZE FORMAT=JSON SELECT * FROM t"},
	{onMariaDB, "SELECT LASTVAL(s), PREVIOUS VALUE FOR s"},
	{onMariaDB, "SET STATEMENT max_statement_time=1 FOR SELECT 1"},

	{onBoth, "SELECT `get_lock`('a', 0), GET_LOCK ('b', 0), get_lock/* */('c', 0)"},
	{onBoth, "SELECT RELEASE_LOCK('a'), RELEASE_ALL_LOCKS()"},
	{onBoth, "SELECT LAST_INSERT_ID(5)"},
	{onBoth, "SELECT @v := 1"},
	{onBoth, "SELECT @`a b` /* x */ := 1"},
	{onBoth, "SELECT 1 INTO@v"},
	{onBoth, "SELECT a FROM t FOR UPDATE"},
	{onBoth, "SELECT a FROM t LOCK IN SHARE MODE"},
	{onMySQL, "SELECT a FROM t FOR SHARE SKIP LOCKED"},
	{onMySQL, "SELECT a FROM t LIMIT 1 FOR UPDATE OF t NOWAIT"},
	{onMySQL, "TABLE t LIMIT 1 INTO @x, @y"},
	{onMySQL, "VALUES ROW(1) INTO @x"},
	{onMySQL, "EXPLAIN FORMAT=JSON INTO @x SELECT 1"},
	{onMySQL, "EXPLAIN UPDATE t SET a = 1"},
	{onMySQL, "WITH x AS (SELECT 7 AS a) DELETE FROM t WHERE a IN (SELECT a FROM x)"},
	{onMariaDB, "SELECT NEXTVAL(s), NEXT VALUE FOR s, SETVAL(s, 100)"},
	{onBoth, "SET NAMES utf8mb4 COLLATE utf8mb4_bin, autocommit=1, @x = 1"},
	{onBoth, "SET @@session.`timestamp` = 1, @y := (SELECT MAX(a) FROM t), insert_id = 1"},
	{onBoth, "SET timestamp = DEFAULT, SESSION sql_mode = @@sql_mode"},
	{onBoth, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"},
	{onBoth, "CREATE TEMPORARY TABLE tt (a INT)"},
	{onMariaDB, "CREATE OR REPLACE TEMPORARY TABLE tt AS SELECT 1 AS a"},
	{onBoth, "DROP TEMPORARY TABLE IF EXISTS tt"},
	{onBoth, "HANDLER t OPEN AS h"},
	{onBoth, "HANDLER h READ FIRST"},
	{onBoth, "HANDLER h CLOSE"},
	{onBoth, "LOCK TABLES t READ"},
	{onBoth, "UNLOCK TABLES"},
	{onBoth, "PREPARE p FROM 'SELECT ''a'' INTO @v'"},
	{onBoth, "EXECUTE p"},
	{onBoth, "DROP PREPARE p"},
	{onMariaDB, "EXECUTE IMMEDIATE 'SELECT ?' USING 1"},
	{onMariaDB, "BEGIN NOT ATOMIC SELECT 1; END"},
	{onBoth, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"},
	{onBoth, "COMMIT WORK AND CHAIN NO RELEASE"},
	{onBoth, "ROLLBACK AND NO CHAIN"},
	{onBoth, "XA START 'sqlclass'"},
	{onBoth, "XA END 'sqlclass'"},
	{onBoth, "XA ROLLBACK 'sqlclass'"},
	{onBoth, "GET DIAGNOSTICS @n = NUMBER"},
	{onBoth, "CREATE PROCEDURE p() BEGIN IF 1 THEN SELECT CASE WHEN 1 THEN 2 END; END IF; END"},
	{onBoth, "CALL p()"},
	{onBoth, "DROP PROCEDURE p"},
}

// openConn returns the one connection all statements of a test run on.
func openConn(ctx context.Context, t *testing.T, dsn string) *sql.Conn {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatalf("open %s: %v", dsn, err)
	}
	t.Cleanup(func() { _ = db.Close() })
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func mustExec(ctx context.Context, t *testing.T, conn *sql.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// testOnServer runs the list twice: all statements for their syntax, then those
// called read-only, which the server may not refuse with 1290 or 1792. root may
// set read_only, app is an ordinary account; both work in database app.
func testOnServer(t *testing.T, s *mysqltest.Server, flavour flavours) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	admin := openConn(ctx, t, s.DSN("root", mysqltest.RootPassword, "app"))
	app := s.DSN(mysqltest.AppUser, mysqltest.AppPassword, "app")
	mustExec(ctx, t, admin, "CREATE TABLE IF NOT EXISTS t (a INT PRIMARY KEY, b INT, KEY k (b))",
		"REPLACE INTO t VALUES (1, 1), (2, 2)")
	if flavour == onMariaDB {
		mustExec(ctx, t, admin, "CREATE SEQUENCE IF NOT EXISTS s")
	}
	user := openConn(ctx, t, app)
	for _, tt := range serverTests {
		if tt.on&flavour == 0 {
			continue
		}
		if _, err := user.ExecContext(ctx, tt.sql); err != nil {
			t.Errorf("%s: %v", tt.sql, err)
		}
	}
	t.Run("read_only", func(t *testing.T) {
		mustExec(ctx, t, admin, "SET GLOBAL read_only = 1")
		testReadOnly(ctx, t, openConn(ctx, t, app), flavour)
	})
	if flavour == onMySQL {
		t.Run("super_read_only", func(t *testing.T) {
			mustExec(ctx, t, admin, "GRANT CONNECTION_ADMIN ON *.* TO "+mysqltest.AppUser, "SET GLOBAL super_read_only = 1")
			testReadOnly(ctx, t, openConn(ctx, t, app), flavour)
		})
	}
	mustExec(ctx, t, admin, "SET GLOBAL read_only = 0") // and super_read_only with it
}

// testReadOnly runs what is called read-only on a server that is.
func testReadOnly(ctx context.Context, t *testing.T, user *sql.Conn, flavour flavours) {
	var refused *mysql.MySQLError
	_, err := user.ExecContext(ctx, "DELETE FROM t")
	if !errors.As(err, &refused) || refused.Number != 1290 {
		t.Fatalf("the server takes writes: %v", err)
	}
	mustExec(ctx, t, user, "START TRANSACTION READ ONLY")
	ran := 0
	for _, tt := range serverTests {
		if tt.on&flavour == 0 || !Classify([]byte(tt.sql), Options{}).ReadOnly {
			continue
		}
		ran++
		_, err := user.ExecContext(ctx, tt.sql)
		if errors.As(err, &refused) && (refused.Number == 1290 || refused.Number == 1792) {
			t.Errorf("called read-only, but refused: %s: %v", tt.sql, err)
		} else if err != nil {
			t.Errorf("%s: %v", tt.sql, err)
		}
	}
	if ran < 20 {
		t.Errorf("only %d statements were called read-only", ran)
	}
}

// testBuiltins compares the list of functions with the one of a MariaDB server:
// what is missing here would never be called read-only.
func testBuiltins(t *testing.T, s *mysqltest.Server) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	rows, err := s.DB().QueryContext(ctx,
		"SELECT LOWER(FUNCTION) FROM information_schema.SQL_FUNCTIONS")
	if err != nil {
		t.Fatalf("list functions: %v", err)
	}
	defer func() { _ = rows.Close() }()
	var missing []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if !(lookupName([]byte(name))&builtin != 0) {
			missing = append(missing, name)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if len(missing) > 40 {
		t.Errorf("functions of the server not in builtinNames: %s", strings.Join(missing, " "))
	}
	t.Logf("left out: %s", strings.Join(missing, " "))
}

// start starts a server with the accounts and the schema app.
func start(t *testing.T, f mysqltest.Flavor) *mysqltest.Server {
	t.Helper()
	mysqltest.RequireFlavor(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := mysqltest.Start(ctx, mysqltest.Options{Flavor: f, Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, q := range mysqltest.Accounts(f) {
		if _, err := s.DB().ExecContext(ctx, q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	return s
}

func TestOnMariaDB(t *testing.T) {
	s := start(t, mysqltest.MariaDB)
	testOnServer(t, s, onMariaDB)
	testBuiltins(t, s)
}

func TestOnMySQL(t *testing.T) {
	s := start(t, mysqltest.MySQL)
	testOnServer(t, s, onMySQL)
	testDollarQuotes(t, s)
}

// testDollarQuotes holds where a body in dollar quotes ends against the server:
// what follows takes a lock that the quotes within the body seem to hide.
func testDollarQuotes(t *testing.T, s *mysqltest.Server) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn := openConn(ctx, t, s.DSN("root", mysqltest.RootPassword, "app")+"?multiStatements=true")
	for _, body := range []string{"$$ // ' $$", "$js$ // ' $$ $JS$ $js$", `$1$ // ' \$1$`, "$$ // ' $x$$"} {
		text := "CREATE LIBRARY l LANGUAGE JAVASCRIPT AS " + body + `; SELECT GET_LOCK("l", 0) /* ' */`
		mustExec(ctx, t, conn, text)
		var held int
		if err := conn.QueryRowContext(ctx, "SELECT RELEASE_ALL_LOCKS()").Scan(&held); err != nil || held != 1 {
			t.Errorf("%s: %d locks, %v", text, held, err)
		}
		if got := Classify([]byte(text), Options{}); !got.Effects.Has(NamedLock) {
			t.Errorf("%s: %s", text, got)
		}
		mustExec(ctx, t, conn, "DROP LIBRARY l")
	}
}
