package clients

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/integration/clients/stand"
	"github.com/onewriter/onewriter/integration/suite"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// driverTimeout bounds one run of a driver, which does some seconds of work.
const driverTimeout = 3 * time.Minute

// driver does all that an application does at addr and tells everything it got to see. It calls move between two
// transactions, where the primary role may move.
type driver struct {
	name string
	run  func(t *testing.T, addr, mode string, move func()) string
}

func drivers(t *testing.T) []driver {
	return []driver{
		{"go-sql-driver", goDriver},
		{"PyMySQL", python("pymysql")},
		{"mysqlclient on Connector C", python("MySQLdb")},
		{"mysql2", node("mysql2")},
		{"mariadb connector for Node.js", node("mariadb")},
		{"Connector J", java(t.TempDir())},
	}
}

// TestDrivers compares what each driver sees at a server with what it sees through onewriter, there with TLS, some sessions
// compressed, and with the primary role moving.
func TestDrivers(t *testing.T) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			s := start(t, f, stand.Options{})
			for _, d := range drivers(t) {
				t.Run(d.name, func(t *testing.T) {
					want := d.run(t, s.Pair.Servers[0].Addr(), "plain", func() {})
					moves := 0
					got := d.run(t, s.Primary, "tls", func() {
						moves++
						if err := s.Switchover(t.Context()); err != nil {
							t.Error(err)
						}
					})
					if moves == 0 || moves%2 != 0 {
						t.Errorf("%d moves: want the role back where it was", moves)
					}
					compare(t, want, got)
				})
			}
		})
	}
}

// compare shows the lines in which the two differ.
func compare(t *testing.T, want, got string) {
	t.Helper()
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	if !strings.Contains(want, "\ndone\n") {
		t.Errorf("the direct run did not end: %s", clip(want[max(0, len(want)-2000):]))
	}
	for i := range max(len(a), len(b)) {
		x, y := "", ""
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			t.Errorf("line %d\n  directly: %s\n  proxied:  %s", i+1, clip(x), clip(y))
			return
		}
	}
}

func clip(s string) string {
	if len(s) > 2000 {
		return s[:1000] + " ... " + s[len(s)-1000:]
	}
	return s
}

// python is the driver of a script in testdata with one of the distribution's modules.
func python(module string) func(*testing.T, string, string, func()) string {
	return func(t *testing.T, addr, mode string, move func()) string {
		const python = "/usr/bin/python3"
		suite.Need(t, exec.Command(python, "-c", "import cryptography, "+module).Run())
		return converse(t, move, append([]string{python, "testdata/matrix.py", module}, account(addr, mode, t.TempDir())...)...)
	}
}

func node(module string) func(*testing.T, string, string, func()) string {
	return func(t *testing.T, addr, mode string, move func()) string {
		cache, err := mysqltest.CacheDir()
		suite.Need(t, err)
		dir := filepath.Join(cache, "node")
		_, err = os.Stat(filepath.Join(dir, "node_modules", module))
		suite.Need(t, err)
		_, err = exec.LookPath("node")
		suite.Need(t, err)
		return converse(t, move, append([]string{"node", "testdata/matrix.js", dir, module}, account(addr, mode, t.TempDir())...)...)
	}
}

const connectorJ = "/usr/share/java/mariadb-java-client.jar"

// java is a driver that is compiled to dir once.
func java(dir string) func(*testing.T, string, string, func()) string {
	return func(t *testing.T, addr, mode string, move func()) string {
		_, err := os.Stat(connectorJ)
		suite.Need(t, err)
		if _, err := os.Stat(filepath.Join(dir, "Matrix.class")); err != nil {
			compiler := []string{"javac"}
			if _, err := exec.LookPath("javac"); err != nil {
				compiler = []string{"ecj", "-17"}
			}
			_, err = exec.LookPath(compiler[0])
			suite.Need(t, err)
			c := append(compiler, "-encoding", "UTF-8", "-cp", connectorJ, "-d", dir, "testdata/Matrix.java")
			if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		command := []string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", dir + ":" + connectorJ, "Matrix"}
		return converse(t, move, append(command, account(addr, mode, "")...)...)
	}
}

func account(addr, mode, dir string) []string {
	host, port, _ := net.SplitHostPort(addr)
	out := []string{host, port, mysqltest.AppUser, mysqltest.AppPassword, mode}
	if dir != "" {
		out = append(out, dir)
	}
	return out
}

// converse runs a program, moves when it says so, and gives its output.
func converse(t *testing.T, move func(), command ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), driverTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		text.WriteString(line)
		if err != nil {
			break
		}
		if strings.TrimSpace(line) == "move" {
			move()
			_, _ = io.WriteString(in, "\n")
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %v: %s", command[0], err, clip(stderr.String()))
		fmt.Fprintln(&text, "failed:", err)
	}
	return text.String()
}
