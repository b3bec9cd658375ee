package clients

import (
	"bytes"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/integration/clients/stand"
	"github.com/onewriter/onewriter/integration/suite"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// tool is the command line of a program of a flavour's client package, logged in as root at addr.
func tool(t *testing.T, f mysqltest.Flavor, name, addr string, args ...string) *exec.Cmd {
	t.Helper()
	command, err := mysqltest.Client(f)
	suite.Need(t, err)
	at := len(command) - 1
	if f == mysqltest.MySQL {
		at-- // --no-defaults follows it
	}
	command[at] = filepath.Join(filepath.Dir(command[at]), name)
	host, port, _ := net.SplitHostPort(addr)
	command = append(command, "--host="+host, "--port="+port, "--user=root", "--password="+mysqltest.RootPassword)
	return exec.CommandContext(t.Context(), command[0], append(command[1:], args...)...)
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(cmd.Args, " "), err, clip(stderr.String()))
	}
	return string(out)
}

// toolNames are the programs of a flavour's client package.
func toolNames(f mysqltest.Flavor) map[string]string {
	names := map[string]string{"mysql": "mysql", "admin": "mysqladmin"}
	for _, n := range []string{"dump", "import", "slap", "binlog", "check", "show"} {
		names[n] = "mysql" + n
		if f == mysqltest.MariaDB {
			names[n] = "mariadb-" + n
		}
	}
	if f == mysqltest.MariaDB {
		names["mysql"], names["admin"] = "mariadb", "mariadb-admin"
	}
	return names
}

// tools are a flavour's programs before one stand.
type tools struct {
	*stand.Stand
	flavor mysqltest.Flavor
	names  map[string]string
	direct string // address of the primary
}

// TestTools does with the programs of both flavours' client packages what people do with them. What they print has to be the
// same as at the server.
func TestTools(t *testing.T) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			s := start(t, f, stand.Options{})
			x := tools{s, f, toolNames(f), s.Pair.Servers[0].Addr()}
			t.Run("client", x.client)
			t.Run("binlog", x.binlog)
			t.Run("dump", x.dump)
			t.Run("import", x.imports)
			t.Run("admin", x.admin)
			t.Run("slap", x.slap)
			t.Run("sysbench", x.sysbench)
		})
	}
}

func (x tools) run(t *testing.T, name, addr string, args ...string) string {
	t.Helper()
	return output(t, tool(t, x.flavor, x.names[name], addr, args...))
}

// exec runs statements at the primary without the proxy.
func (x tools) exec(t *testing.T, statements ...string) {
	t.Helper()
	for _, q := range statements {
		if _, err := x.Pair.Servers[0].DB().Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// checksum is that of a table's rows at the primary.
func (x tools) checksum(t *testing.T, table string) string {
	t.Helper()
	row, err := x.Pair.Servers[0].Row(t.Context(), "CHECKSUM TABLE "+table+" EXTENDED")
	if err != nil {
		t.Fatal(err)
	}
	if row["Checksum"] == "" || row["Checksum"] == "0" {
		t.Errorf("checksum of %s is %q", table, row["Checksum"])
	}
	return row["Checksum"]
}

// encrypted is the option that asks for TLS.
func (x tools) encrypted() string {
	if x.flavor == mysqltest.MySQL {
		return "--ssl-mode=REQUIRED"
	}
	return "--ssl"
}

func (x tools) compressed() string {
	if x.flavor == mysqltest.MySQL {
		return "--compression-algorithms=zlib"
	}
	return "--compress"
}

const clientScript = `DROP DATABASE scripted;
CREATE DATABASE scripted DEFAULT CHARSET utf8mb4;
USE scripted;
CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(50), b BLOB, d DECIMAL(10,3), ts TIMESTAMP(2) NULL);
DELIMITER //
CREATE PROCEDURE p(OUT n INT) BEGIN INSERT INTO t (v) VALUES ('one'), ('two'); SELECT * FROM t; SELECT COUNT(*) INTO n FROM t; END//
DELIMITER ;
CALL p(@n); SELECT @n;
INSERT INTO t VALUES (7, 'ü€', 0x00ff, 1.5, '2024-02-29 01:02:03.04');
SELECT nothing FROM nowhere;
INSERT INTO t (id) VALUES (7);
INSERT INTO t (id, d) VALUES (8, 1e20);
BEGIN; UPDATE t SET d=2; ROLLBACK;
SELECT id, v, HEX(b), d, ts FROM t\G
SHOW WARNINGS;
PREPARE s FROM 'SELECT v FROM t WHERE id=?'; SET @id=7; EXECUTE s USING @id;
SELECT SQL_CALC_FOUND_ROWS id FROM t LIMIT 1; SELECT FOUND_ROWS();
SELECT 'end' AS s, NULL AS n, 1.5e0 AS f;
`

// client runs a script with types of columns, warnings and errors in the output.
func (x tools) client(t *testing.T) {
	x.exec(t, "CREATE DATABASE scripted") // which each run drops first
	outputs := map[string]string{}
	for _, at := range []struct{ name, addr, option string }{
		{"direct", x.direct, "--comments"}, {"proxied", x.Primary, "--comments"},
		{"encrypted", x.Primary, x.encrypted()}, {"compressed", x.Primary, x.compressed()},
	} {
		cmd := tool(t, x.flavor, x.names["mysql"], at.addr, "--force", "--table", "--unbuffered", "--show-warnings", "--column-type-info", "--default-character-set=utf8mb4", at.option)
		cmd.Stdin = strings.NewReader(clientScript)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil { // --force ends well in spite of errors
			t.Errorf("%s: %v", at.name, err)
		}
		outputs[at.name] = out.String()
		if !strings.Contains(out.String(), "1146") || !strings.Contains(out.String(), "end") {
			t.Errorf("%s: %s", at.name, clip(out.String()))
		}
		compareLines(t, at.name, outputs["direct"], outputs[at.name])
	}
}

// binlog reads a closed file of the binary log: as statements, as it is, and by GTID.
func (x tools) binlog(t *testing.T) {
	x.exec(t, "CREATE DATABASE logged", "CREATE TABLE logged.t (id INT PRIMARY KEY, b LONGBLOB)",
		"INSERT INTO logged.t VALUES (1, REPEAT('x', 3000000)), (2, NULL)", "FLUSH BINARY LOGS")
	rows, err := x.Pair.Servers[0].DB().Query("SHOW BINARY LOGS")
	if err != nil {
		t.Fatal(err)
	}
	files := firstColumn(t, rows)
	file := files[len(files)-2] // the last one grows
	const remote = "--read-from-remote-server"
	modes := [][]string{{remote}, {remote, "--verbose", "--base64-output=DECODE-ROWS"}}
	if x.flavor == mysqltest.MySQL {
		modes = append(modes, []string{"--read-from-remote-source=BINLOG-DUMP-GTIDS", "--verbose"}, []string{remote, x.compressed()})
	}
	for _, mode := range modes {
		args := append(mode, file)
		want, got := x.run(t, "binlog", x.direct, args...), x.run(t, "binlog", x.Primary, args...)
		if !strings.Contains(want, "logged") {
			t.Errorf("%v: %s", mode, clip(want))
		}
		compareLines(t, strings.Join(mode, " "), want, got)
	}
	raw := map[string][]byte{}
	for _, addr := range []string{x.direct, x.Primary} {
		prefix := filepath.Join(t.TempDir(), "log-")
		x.run(t, "binlog", addr, remote, "--raw", "--result-file="+prefix, file)
		if raw[addr], err = os.ReadFile(prefix + file); err != nil {
			t.Fatal(err)
		}
	}
	if len(raw[x.direct]) < 3_000_000 || !bytes.Equal(raw[x.direct], raw[x.Primary]) {
		t.Errorf("raw: %d bytes directly, %d through the proxy", len(raw[x.direct]), len(raw[x.Primary]))
	}
}

func firstColumn(t *testing.T, rows *sql.Rows) (list []string) {
	t.Helper()
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, targets := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		list = append(list, string(values[0]))
	}
	if rows.Err() != nil || len(list) == 0 {
		t.Fatalf("%d rows: %v", len(list), rows.Err())
	}
	return list
}

// compareLines shows the first line in which two outputs differ.
func compareLines(t *testing.T, what, want, got string) {
	t.Helper()
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			t.Errorf("%s: line %d\n  directly: %s\n  proxied:  %s", what, i+1, clip(x), clip(y))
			return
		}
	}
}

// number is that of an environment variable.
func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// dump dumps a database of ONEWRITER_DUMP_MB through the proxy, which has to be what the server gives, and restores it
// through the proxy.
func (x tools) dump(t *testing.T) {
	x.exec(t, "CREATE DATABASE source DEFAULT CHARSET utf8mb4", "CREATE DATABASE restored DEFAULT CHARSET utf8mb4",
		"CREATE TABLE source.t (id INT PRIMARY KEY AUTO_INCREMENT, b LONGBLOB, v VARCHAR(100), n INT, d DECIMAL(20,5), KEY (v))",
		"CREATE TABLE source.small (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(400))",
		"CREATE VIEW source.w AS SELECT id, v FROM source.t", "CREATE PROCEDURE source.p() SELECT 1")
	x.run(t, "mysql", x.direct, "source", "-e", "CREATE TRIGGER r BEFORE INSERT ON small FOR EACH ROW SET NEW.v=TRIM(NEW.v)")
	for range number("ONEWRITER_DUMP_MB", 4) {
		x.exec(t, "INSERT INTO source.t (b, v, d) VALUES (UNHEX(REPEAT(SHA2(RAND(), 512), 8192)), REPEAT('ü\\'\"\\\\', 20), RAND())",
			"INSERT INTO source.small (v) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i+1 FROM n WHERE i<1000) SELECT REPEAT(SHA2(RAND(), 512), 3) FROM n")
	}
	options := []string{"--single-transaction", "--routines", "--hex-blob", "--skip-dump-date"}
	if x.flavor == mysqltest.MySQL {
		options = append(options, "--set-gtid-purged=OFF") // it is restored where it comes from
	}
	want := x.run(t, "dump", x.direct, append(options, "source")...)
	began := time.Now()
	dump := x.run(t, "dump", x.Primary, append(options, x.encrypted(), "source")...)
	dumped := time.Since(began)
	compareLines(t, "dump", want, dump)
	began = time.Now()
	restore := tool(t, x.flavor, x.names["mysql"], x.Primary, x.compressed(), "restored")
	restore.Stdin = strings.NewReader(dump)
	output(t, restore)
	t.Logf("%d MB of SQL: dumped in %v, restored in %v", len(dump)>>20, dumped.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	for _, table := range []string{"t", "small"} {
		a, b := x.checksum(t, "source."+table), x.checksum(t, "restored."+table)
		if a != b {
			t.Errorf("checksums of %s are %s and %s", table, a, b)
		}
		t.Logf("checksum of %s is %s", table, a)
	}
	position := "--source-data=2"
	if x.flavor == mysqltest.MariaDB {
		position = "--master-data=2"
	}
	for _, option := range []string{"--lock-all-tables", "--single-transaction"} { // with a global read lock
		if out := x.run(t, "dump", x.Primary, option, position, "--no-data", "source"); !strings.Contains(out, "CHANGE ") {
			t.Errorf("%s: no position of the binary log in %s", option, clip(out))
		}
	}
}

// imports loads files from the client's side into two tables at once.
func (x tools) imports(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for _, table := range []string{"one", "two"} {
		var b strings.Builder
		for i := range 20_000 {
			fmt.Fprintf(&b, "%d,\"%s %d, ü€\"\n", i, table, i)
		}
		files = append(files, filepath.Join(dir, table+".csv"))
		if err := os.WriteFile(files[len(files)-1], []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var outputs []string
	for database, addr := range map[string]string{"imported_directly": x.direct, "imported_proxied": x.Primary} {
		x.exec(t, "CREATE DATABASE "+database+" DEFAULT CHARSET utf8mb4", "CREATE TABLE "+database+".one (id INT PRIMARY KEY, v VARCHAR(50))", "CREATE TABLE "+database+".two LIKE "+database+".one")
		for _, threads := range []string{"--use-threads=2", "--replace"} {
			out := x.run(t, "import", addr, append([]string{"--local", threads, "--default-character-set=utf8mb4", "--fields-terminated-by=,", "--fields-optionally-enclosed-by=\"", database}, files...)...)
			lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(out, database, "imported")), "\n")
			slices.Sort(lines)
			outputs = append(outputs, strings.Join(lines, "\n"))
		}
	}
	if !strings.Contains(outputs[0], "Records: 20000") || !slices.Equal(outputs[:2], outputs[2:]) {
		t.Errorf("imported %q", outputs)
	}
	for _, table := range []string{"one", "two"} {
		if a, b := x.checksum(t, "imported_directly."+table), x.checksum(t, "imported_proxied."+table); a != b {
			t.Errorf("checksums of %s are %s and %s", table, a, b)
		}
	}
}

func (x tools) admin(t *testing.T) {
	for _, command := range []string{"ping", "status", "processlist", "version", "flush-tables", "extended-status", "debug", "refresh"} {
		if x.flavor == mysqltest.MySQL && command == "refresh" {
			continue
		}
		if out := x.run(t, "admin", x.Primary, command); command == "ping" && !strings.Contains(out, "alive") {
			t.Errorf("ping: %s", out)
		}
	}
	for name, args := range map[string][]string{"check": {"--databases", "source", "restored"}, "show": {"--count", "source"}} {
		want, got := x.run(t, name, x.direct, args...), x.run(t, name, x.Primary, args...)
		if !strings.Contains(want, "small") {
			t.Errorf("%s: %s", name, want)
		}
		compareLines(t, name, want, got)
	}
}
