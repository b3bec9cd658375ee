package integration

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/integration/suite"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// clientSwitchovers is how often the role moves under programs that others wrote.
const clientSwitchovers = 6

// program is a client that takes ids on its standard input, writes a row for each and answers "ack ID".
type program struct {
	name    string
	command []string
	line    func(id int64, client int) string
}

// idLine is what the scripts in testdata read.
func idLine(id int64, _ int) string { return strconv.FormatInt(id, 10) + "\n" }

// sqlLine makes a command-line client write and answer.
func sqlLine(id int64, client int) string {
	if id%2 == 1 {
		return fmt.Sprintf("INSERT INTO writes VALUES (%d, %d, @@server_id); SELECT CONCAT('ack ', id) FROM writes WHERE id=%d;\n", id, client, id)
	}
	return fmt.Sprintf("BEGIN; INSERT INTO writes VALUES (%d, %d, 0); UPDATE writes SET server=@@server_id WHERE id=%d; COMMIT; "+
		"SELECT CONCAT('ack ', id) FROM writes WHERE id=%d;\n", id, client, id, id)
}

// cli is the command line of a flavour's own client, logged in as the application.
func cli(t *testing.T, f mysqltest.Flavor, addr string, args ...string) []string {
	t.Helper()
	command, err := mysqltest.Client(f)
	suite.Need(t, err)
	host, port, _ := net.SplitHostPort(addr)
	command = append(command, "--host="+host, "--port="+port, "--user="+mysqltest.AppUser, "--password="+mysqltest.AppPassword,
		"--database=app", "--batch", "--unbuffered", "--skip-column-names")
	return append(command, args...)
}

// nodeDir is where scripts/install-test-deps puts mysql2.
func nodeDir(t *testing.T) string {
	t.Helper()
	cache, err := mysqltest.CacheDir()
	suite.Need(t, err)
	dir := filepath.Join(cache, "node")
	_, err = os.Stat(filepath.Join(dir, "node_modules", "mysql2"))
	suite.Need(t, err)
	_, err = exec.LookPath("node")
	suite.Need(t, err)
	return dir
}

const python = "/usr/bin/python3" // the one that the distribution's PyMySQL belongs to

func programs(t *testing.T, f mysqltest.Flavor, addr string) []program {
	t.Helper()
	suite.Need(t, exec.Command(python, "-c", "import pymysql, cryptography").Run())
	host, port, _ := net.SplitHostPort(addr)
	account := []string{host, port, mysqltest.AppUser, mysqltest.AppPassword}
	out := []program{
		{"python", append([]string{python, "testdata/client.py"}, account...), idLine},
		{"node", append([]string{"node", "testdata/client.js", nodeDir(t)}, account...), idLine},
		{"mariadb client", cli(t, mysqltest.MariaDB, addr), sqlLine},
	}
	if f == mysqltest.MySQL {
		out = append(out, program{"mysql client", cli(t, mysqltest.MySQL, addr), sqlLine})
	}
	for i := range 2 { // the scripts take their number as last argument
		out[i].command = append(out[i].command, strconv.Itoa(i))
	}
	return out
}

// run starts the program and makes it write until ctx is done. Each acknowledged row goes into the load.
func (p program) run(ctx context.Context, l *load, client int) error {
	limit, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(limit, p.command[0], p.command[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	n, err := p.converse(ctx, l, client, in, bufio.NewReader(out))
	_ = in.Close()
	if err = errors.Join(err, cmd.Wait()); err != nil {
		return fmt.Errorf("%s after %d rows: %w: %s", p.name, n, err, stderr.String())
	}
	l.t.Logf("%s wrote %d rows", p.name, n)
	if n < 20 {
		return fmt.Errorf("%s wrote only %d rows", p.name, n)
	}
	return nil
}

func (p program) converse(ctx context.Context, l *load, client int, in io.Writer, out *bufio.Reader) (n int, err error) {
	for ctx.Err() == nil {
		id := l.id()
		began := time.Now()
		if _, err := io.WriteString(in, p.line(id, client)); err != nil {
			return n, err
		}
		answer, err := out.ReadString('\n')
		if err != nil {
			return n, err
		}
		if strings.TrimSpace(answer) != fmt.Sprintf("ack %d", id) {
			return n, fmt.Errorf("answer to %d is %q", id, answer)
		}
		l.mu.Lock()
		l.acks = append(l.acks, ack{id: id, invoked: began, told: time.Now()})
		l.mu.Unlock()
		n++
	}
	return n, nil
}

// TestProgramsOfOthersNoticeNothing runs the clients that people use while the primary role moves.
func TestProgramsOfOthersNoticeNothing(t *testing.T) {
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		t.Run(f.String(), func(t *testing.T) {
			pair, o := startPair(t, mysqltest.PairOptions{Flavor: f, Fast: true}, "")
			l := startLoad(t, o.primary, 0)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			for i, p := range programs(t, f, o.primary) {
				l.wg.Go(func() {
					if err := p.run(ctx, l, i); err != nil {
						l.mu.Lock()
						l.errs = append(l.errs, err)
						l.mu.Unlock()
					}
				})
			}
			time.Sleep(time.Second) // interpreters start
			reigns, pauses := moveRole(t, pair, o, clientSwitchovers)
			cancel()
			acks, errs := l.end()
			for _, err := range errs {
				t.Errorf("a client saw an error: %v", err)
			}
			o.caughtUp(pair)
			verify(t, pair, acks, reigns)
			t.Logf("%d acknowledged, pauses %.1f ms", len(acks), pauses)
		})
	}
}
