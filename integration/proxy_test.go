package integration

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/integration/suite"
	"github.com/onewriter/onewriter/internal/child"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// onewriter is a running program.
type onewriter struct {
	t       *testing.T
	config  string
	dir     string
	primary string // listener addresses
	standby string
	strict  string // standby without fallback
	admin   string
	process *child.Child
}

func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := suite.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// configure writes a configuration for the servers at addrs; extra is YAML at the level of the cluster.
func configure(t *testing.T, extra string, addrs ...string) *onewriter {
	t.Helper()
	o := &onewriter{t: t, dir: t.TempDir(), primary: freeAddr(t), standby: freeAddr(t), strict: freeAddr(t), admin: freeAddr(t)}
	servers := ""
	for i, a := range addrs {
		servers += fmt.Sprintf("      - {name: %c, address: %q}\n", 'a'+i, a)
	}
	if !strings.Contains(extra, "control:") {
		extra += "    control: {user: onewriter, password: onewriter-secret}\n"
	}
	if !strings.Contains(extra, "failover:") {
		extra += "    failover: {mode: manual}\n"
	}
	text := fmt.Sprintf(`clusters:
  - name: test
    servers:
%s    listeners:
      - {address: %q, route: primary}
      - {address: %q, route: standby, max_replication_lag: 5s, fallback: primary}
      - {address: %q, route: standby, max_replication_lag: 2s, fallback: error}
    replication: {user: repl, password: repl-secret}
%sadmin: {address: %q}
log: {level: debug, format: json}
state_dir: %q
`, servers, o.primary, o.standby, o.strict, extra, o.admin, filepath.Join(o.dir, "state"))
	o.config = filepath.Join(o.dir, "onewriter.yaml")
	if err := os.WriteFile(o.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return o
}

// start runs the program; it is ended with the test.
func (o *onewriter) start() {
	o.t.Helper()
	var err error
	o.process, err = child.Start(child.Command{Argv: []string{executable, "serve", "--config", o.config}, Log: filepath.Join(o.dir, "log")})
	if err != nil {
		o.t.Fatal(err)
	}
	run := o.process
	o.t.Cleanup(func() {
		run.Kill()
		if o.t.Failed() {
			o.t.Logf("log of onewriter:\n%s", run.Tail(6000))
		}
	})
}

// restartWith ends the program and starts it with more configuration at the top level.
func (o *onewriter) restartWith(t *testing.T, extra string) {
	t.Helper()
	o.process.Kill()
	f, err := os.OpenFile(o.config, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(extra)
		_ = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	o.start()
	o.ready()
}

// ready waits until /readyz is 200.
func (o *onewriter) ready() {
	o.t.Helper()
	o.eventually(20*time.Second, "onewriter is ready", func() error {
		status, body := o.get("/readyz")
		if status != http.StatusOK {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
}

// eventually retries fn until it succeeds.
func (o *onewriter) eventually(limit time.Duration, what string, fn func() error) {
	o.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := fn()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			o.t.Fatalf("%s: not within %s: %v", what, limit, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (o *onewriter) get(path string) (int, string) {
	resp, err := http.Get("http://" + o.admin + path)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// clusterStatus is what the tests read of GET /api/v1/clusters/test.
type clusterStatus struct {
	State   string
	Epoch   uint64
	Primary string
	Reasons []string
	Servers []struct {
		Name, Role, Position, Address string
		Healthy                       bool
		ReadOnly                      bool `json:"read_only"`
		Problems                      []string
	}
	Away []struct {
		Server, Why, Fence, Verdict string
		Reasons                     []string
	}
	Verdict struct {
		Kind     string
		Evidence []string
	}
	Blocked []string
}

func (o *onewriter) status() clusterStatus {
	o.t.Helper()
	code, body := o.get("/api/v1/clusters/test")
	var st clusterStatus
	if err := json.Unmarshal([]byte(body), &st); err != nil || code != http.StatusOK {
		o.t.Fatalf("status: %d %s %v", code, body, err)
	}
	return st
}

// moved is the answer to a switchover.
type moved struct {
	ID, From, To, Outcome string
	Epoch                 uint64
	PauseMS               float64 `json:"pause_ms"`
	Phases                []struct {
		Name string
		MS   float64
	}
	SessionsMoved  int `json:"sessions_moved"`
	SessionsClosed []struct {
		ID     uint64
		Reason string
	} `json:"sessions_closed"`
	Reasons []string
	Phase   string
	Status  int `json:"-"`
}

// switchover posts body and returns the answer, whatever its status.
func (o *onewriter) switchover(body string) moved {
	o.t.Helper()
	resp, err := http.Post("http://"+o.admin+"/api/v1/clusters/test/switchover", "application/json", strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, _ := io.ReadAll(resp.Body)
	var m moved
	if err := json.Unmarshal(raw, &m); err != nil {
		o.t.Fatalf("switchover answered %d %s", resp.StatusCode, raw)
	}
	m.Status = resp.StatusCode
	return m
}

// mustSwitch is a switchover that has to succeed.
func (o *onewriter) mustSwitch(body string) moved {
	o.t.Helper()
	m := o.switchover(body)
	if m.Status != http.StatusOK || m.Outcome != "completed" {
		o.t.Fatalf("switchover: %+v", m)
	}
	return m
}

// open opens a pool through a listener as the application's account.
func open(t *testing.T, addr, params string) *sql.DB {
	t.Helper()
	return openDB(t, "app:app-secret@tcp("+addr+")/app?"+params)
}

func openDB(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// startPair starts servers and a ready onewriter in front of them.
func startPair(t *testing.T, opts mysqltest.PairOptions, extra string) (*mysqltest.Pair, *onewriter) {
	t.Helper()
	mysqltest.RequireFlavor(t, opts.Flavor)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	pair, err := mysqltest.StartPair(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pair.Close() })
	addrs := make([]string, len(pair.Servers))
	for i, s := range pair.Servers {
		addrs[i] = s.Addr()
	}
	o := configure(t, extra, addrs...)
	o.start()
	o.ready()
	return pair, o
}
