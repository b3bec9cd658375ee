package integration

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// TestCompression holds every algorithm of the client's hop against every one of the server's, with the clients that
// people use.
func TestCompression(t *testing.T) {
	for _, f := range bothFlavors {
		t.Run(f.String(), func(t *testing.T) {
			t.Setenv("ONEWRITER_CLUSTERS_0_SERVER_COMPRESSION", "off")
			_, o := startPair(t, mysqltest.PairOptions{Flavor: f, Fast: true}, "")
			mustExec(t, open(t, o.primary, ""), "CREATE TABLE big (id INT PRIMARY KEY, b LONGBLOB)")
			servers := []string{"off", "zlib"}
			if f == mysqltest.MySQL {
				servers = append(servers, "zstd")
			}
			for _, s := range servers {
				if s != "off" {
					t.Setenv("ONEWRITER_CLUSTERS_0_SERVER_COMPRESSION", s)
					o.restartWith(t, "")
				}
				t.Run("server "+s, func(t *testing.T) { compressedHops(t, f, o, s) })
			}
		})
	}
}

func compressedHops(t *testing.T, f mysqltest.Flavor, o *onewriter, server string) {
	var counted atomic.Int64
	name := strings.ReplaceAll(t.Name(), "/", "-")
	mysql.RegisterDialContext(name, func(ctx context.Context, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		return &countingConn{c, &counted}, err
	})
	defer mysql.DeregisterDialContext(name)
	for i, params := range []string{"compress=true", "compress=true&tls=skip-verify", "", "tls=skip-verify"} {
		if i >= 2 && !longTests() {
			break
		}
		size := 20 << 20
		if i > 0 && !longTests() {
			size = 1 << 20
		}
		t.Run("go "+params, func(t *testing.T) {
			db := openDB(t, "app:app-secret@"+name+"("+o.primary+")/app?maxAllowedPacket=67108864&multiStatements=true&"+params)
			db.SetMaxOpenConns(1)
			var variable, value string
			if err := db.QueryRow("SHOW SESSION STATUS LIKE 'Compression'").Scan(&variable, &value); err != nil || (value == "ON") != (server != "off") {
				t.Errorf("the server says %q, %v", value, err)
			}
			for _, blob := range [][]byte{bytes.Repeat([]byte("compressible "), size/13), noise(size / 10)} {
				counted.Store(0)
				mustExec(t, db, "REPLACE INTO big VALUES (1, ?)", blob)
				var back []byte
				if err := db.QueryRow("SELECT b FROM big WHERE id=?", 1).Scan(&back); err != nil || !bytes.Equal(back, blob) {
					t.Errorf("%d bytes there and back: %d, %v", len(blob), len(back), err)
				}
				short := blob[0] == 'c' && strings.Contains(params, "compress")
				if n := counted.Load(); short != (n < int64(len(blob))) {
					t.Errorf("%d bytes on the wire", n)
				}
			}
			rows, err := db.Query("SELECT 1; DO 2; SELECT 3")
			if err != nil {
				t.Fatal(err)
			}
			if got := allResults(t, rows); got != "1|3" && got != "1||3" {
				t.Errorf("results are %q", got)
			}
			_, err = db.Exec("nonsense")
			wantCode(t, err, 1064)
		})
	}
	commands := [][]string{cli(t, mysqltest.MariaDB, o.primary, "--compress")}
	if f == mysqltest.MySQL {
		commands = append(commands, cli(t, mysqltest.MySQL, o.primary, "--compression-algorithms=zlib"),
			cli(t, mysqltest.MySQL, o.primary, "--zstd-compression-level=7", "--ssl-mode=disabled", "--get-server-public-key", "--compression-algorithms=zstd"))
	}
	if longTests() {
		commands = append(commands, cli(t, mysqltest.MariaDB, o.primary, "--compress", "--ssl"))
	}
	if longTests() && f == mysqltest.MySQL {
		for _, a := range []string{"zstd", "zstd,zlib", "uncompressed,zstd,zlib"} {
			commands = append(commands, cli(t, mysqltest.MySQL, o.primary, "--compression-algorithms="+a))
		}
	}
	for _, c := range commands {
		t.Run(filepath.Base(c[0])+" "+strings.Join(c[len(c)-1:], " "), func(t *testing.T) { compressedProgram(t, c) })
	}
}

// longTests reports whether tests take all that they can hold beside what they have to.
func longTests() bool { return os.Getenv("ONEWRITER_LONG") != "" }

// compressedProgram makes a command-line client send and get much and little, and a file.
func compressedProgram(t *testing.T, command []string) {
	file := filepath.Join(t.TempDir(), "rows")
	var rows bytes.Buffer
	for i := range 20_000 { // more than 256 packets
		fmt.Fprintf(&rows, "%d\t%s\n", i, strings.Repeat("text ", 50))
	}
	if err := os.WriteFile(file, rows.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	value := strings.Repeat("0123456789abcdef", 1<<16)
	cmd := exec.Command(command[0], append(command[1:], "--local-infile=1", "--max-allowed-packet=64M")...)
	cmd.Stdin = strings.NewReader("SELECT LENGTH('" + value + "');\n" +
		"SELECT 'small';\n" +
		"SELECT REPEAT('x', 17000000);\n" +
		"CREATE TABLE IF NOT EXISTS loaded (id INT PRIMARY KEY, v TEXT); DELETE FROM loaded;\n" +
		"LOAD DATA LOCAL INFILE '" + file + "' INTO TABLE loaded; SELECT COUNT(*), SUM(id) FROM loaded; DROP TABLE loaded;\n" +
		"SELECT 'end';\n")
	out, err := cmd.CombinedOutput()
	want := fmt.Sprintf("%d\nsmall\n%s\n20000\t199990000\nend\n", len(value), strings.Repeat("x", 17_000_000))
	if got := withoutWarnings(string(out)); err != nil || got != want {
		t.Errorf("%v; %d bytes, want %d: ...%s", err, len(got), len(want), got[max(0, len(got)-300):])
	}
}

// withoutWarnings drops what clients say about passwords on the command line.
func withoutWarnings(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		if !strings.Contains(line, "[Warning]") && !strings.HasPrefix(line, "WARNING") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// countingConn counts the bytes in both directions.
type countingConn struct {
	net.Conn
	n *atomic.Int64
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// noise gives bytes that cannot be compressed.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}
