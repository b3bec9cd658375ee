package clients

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/onewriter/onewriter/integration/clients/stand"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// tool is the command line of a program of a flavour's client package, logged in as root at addr.
func tool(t *testing.T, f mysqltest.Flavor, name, addr string, args ...string) *exec.Cmd {
	t.Helper()
	command, err := mysqltest.Client(f)
	missing(t, err)
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

// dumpMB is the size of the database that is dumped: ONEWRITER_DUMP_MB, 4 by default.
func dumpMB() int {
	if n, err := strconv.Atoi(os.Getenv("ONEWRITER_DUMP_MB")); err == nil {
		return n
	}
	return 4
}

// TestDump dumps a database through the proxy with each flavour's own program and restores it through it.
func TestDump(t *testing.T) {
	for f, names := range map[mysqltest.Flavor][3]string{mysqltest.MariaDB: {"mariadb", "mariadb-dump", "mariadb-admin"}, mysqltest.MySQL: {"mysql", "mysqldump", "mysqladmin"}} {
		t.Run(f.String(), func(t *testing.T) {
			s := start(t, f, stand.Options{})
			db := s.Pair.Servers[0].DB()
			for _, q := range []string{
				"CREATE DATABASE source", "CREATE DATABASE restored",
				"CREATE TABLE source.t (id INT PRIMARY KEY AUTO_INCREMENT, b LONGBLOB, v VARCHAR(100), n INT, d DECIMAL(20,5), KEY (v))",
				"CREATE VIEW source.w AS SELECT id, v FROM source.t", "CREATE PROCEDURE source.p() SELECT 1",
			} {
				if _, err := db.Exec(q); err != nil {
					t.Fatal(err)
				}
			}
			for range dumpMB() {
				if _, err := db.Exec("INSERT INTO source.t (b, v, d) VALUES (UNHEX(REPEAT(SHA2(RAND(), 512), 16384)), REPEAT('ü\\'\"\\\\', 20), RAND())"); err != nil {
					t.Fatal(err)
				}
			}
			options := []string{"--single-transaction", "--routines", "--hex-blob"}
			if f == mysqltest.MySQL {
				options = append(options, "--set-gtid-purged=OFF") // it is restored where it comes from
			}
			dump := output(t, tool(t, f, names[1], s.Primary, append(options, "source")...))
			restore := tool(t, f, names[0], s.Primary, "restored")
			restore.Stdin = strings.NewReader(dump)
			output(t, restore)
			sums := map[string]string{}
			for _, schema := range []string{"source", "restored"} {
				row, err := s.Pair.Servers[0].Row(t.Context(), "CHECKSUM TABLE "+schema+".t EXTENDED")
				if err != nil {
					t.Fatal(err)
				}
				sums[schema] = row["Checksum"]
			}
			if sums["source"] != sums["restored"] || sums["source"] == "" || sums["source"] == "0" {
				t.Errorf("checksums are %v", sums)
			}
			for _, command := range []string{"ping", "status", "processlist", "version", "flush-tables", "extended-status", "debug", "refresh"} {
				if f == mysqltest.MySQL && command == "refresh" {
					continue
				}
				if out := output(t, tool(t, f, names[2], s.Primary, command)); command == "ping" && !strings.Contains(out, "alive") {
					t.Errorf("ping: %s", out)
				}
			}
			if out := output(t, tool(t, f, names[0], s.Primary, "--batch", "-e", "SHOW DATABASES")); !strings.Contains(out, "restored") {
				t.Errorf("databases: %s", out)
			}
		})
	}
}
