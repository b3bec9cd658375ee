package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/integration/suite"
	"github.com/onewriter/onewriter/internal/child"
)

// program is the onewriter under test.
type program struct {
	t       *testing.T
	dir     string
	primary string // listener addresses
	standby string
	admin   string
	run     *child.Child
	http    http.Client
}

// cluster is the configuration of the cluster, apart from servers and listeners.
const cluster = `    control: {user: onewriter, password: onewriter-secret}
    replication: {user: repl, password: repl-secret}
    failover: {mode: automatic, cooldown: 0s, max_per_hour: 0}
`

// newProgram writes a configuration for the servers at addrs, which are called a, b and so on.
func newProgram(t *testing.T, addrs []string, extra string) *program {
	t.Helper()
	p := &program{t: t, dir: t.TempDir(), primary: freeAddr(t), standby: freeAddr(t), admin: freeAddr(t)}
	p.http.Timeout = 2 * time.Minute
	servers := ""
	for i, a := range addrs {
		servers += fmt.Sprintf("      - {name: %s, address: %q}\n", serverName(i), a)
	}
	text := fmt.Sprintf(`clusters:
  - name: test
    servers:
%s    listeners:
      - {address: %q, route: primary}
      - {address: %q, route: standby, max_replication_lag: 5s, fallback: primary}
%s%sadmin: {address: %q}
log: {level: debug, format: json}
state_dir: %q
`, servers, p.primary, p.standby, cluster, extra, p.admin, filepath.Join(p.dir, "state"))
	if err := os.WriteFile(p.config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func serverName(i int) string { return string(rune('a' + i)) }

func (p *program) config() string  { return filepath.Join(p.dir, "onewriter.yaml") }
func (p *program) logFile() string { return filepath.Join(p.dir, "log") }
func (p *program) journal() string { return filepath.Join(p.dir, "state", "journal.jsonl") }

func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := suite.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// start runs the program; it is ended with the test.
func (p *program) start() {
	p.t.Helper()
	var err error
	p.run, err = child.Start(child.Command{Argv: []string{executable, "serve", "--config", p.config()}, Log: p.logFile(), Append: true})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(p.run.Kill)
}

// kill ends the program the hard way.
func (p *program) kill() { p.run.Kill() }

// dump ends the program and makes it tell what all its goroutines did.
func (p *program) dump() {
	p.run.Signal(syscall.SIGQUIT)
	select {
	case <-p.run.Done():
	case <-time.After(5 * time.Second):
	}
}

// ended tells whether the program is not running although nobody ended it.
func (p *program) ended() bool { return !p.run.Running() }

// status asks for the cluster.
func (p *program) status(ctx context.Context) (api.Cluster, error) {
	var c api.Cluster
	code, err := p.call(ctx, http.MethodGet, "/api/v1/clusters/test", nil, &c)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("status %d", code)
	}
	return c, err
}

// call sends a request and decodes the answer, whatever its status.
func (p *program) call(ctx context.Context, method, path string, body, into any) (int, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+p.admin+path, bytes.NewReader(raw))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return resp.StatusCode, fmt.Errorf("%s answered %d: %s", path, resp.StatusCode, answer)
	}
	return resp.StatusCode, json.Unmarshal(answer, into)
}

// switchover moves the role as planned.
func (p *program) switchover(ctx context.Context, to string) (api.Switchover, error) {
	var s api.Switchover
	_, err := p.call(ctx, http.MethodPost, "/api/v1/clusters/test/switchover", api.SwitchoverRequest{To: to}, &s)
	return s, err
}

// rejoin judges or brings back a server.
func (p *program) rejoin(ctx context.Context, server string, req api.RejoinRequest) (api.Rejoin, error) {
	var r api.Rejoin
	_, err := p.call(ctx, http.MethodPost, "/api/v1/clusters/test/servers/"+server+"/rejoin", req, &r)
	return r, err
}

var goroutinesPattern = regexp.MustCompile(`(?m)^go_goroutines ([0-9]+)`)

// goroutines reads how many the program has from its metrics; 0 when unknown.
func (p *program) goroutines(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+"/metrics", nil)
	if err != nil {
		return 0
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(resp.Body)
	if m := goroutinesPattern.FindSubmatch(text); m != nil {
		n, _ := strconv.Atoi(string(m[1]))
		return n
	}
	return 0
}

// logTail is the end of what the program logged.
func (p *program) logTail(n int) string { return p.run.Tail(n) }
