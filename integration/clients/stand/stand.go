package stand

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/onewriter/onewriter/integration/suite"
	"github.com/onewriter/onewriter/internal/child"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// switchTimeout bounds a switchover, together with the time until the standby has caught up.
const switchTimeout = 2 * time.Minute

// readyTimeout bounds the time until onewriter serves.
const readyTimeout = 30 * time.Second

// Options say what to start.
type Options struct {
	Flavor mysqltest.Flavor
	// Program is the onewriter to run.
	Program string
	// Servers are options of the servers, without leading dashes.
	Servers map[string]string
	// Cluster is YAML at the level of the cluster, each line indented by four spaces.
	Cluster string
	// Through gives the address under which onewriter reaches the server at addr; nil means addr.
	Through func(addr string) string
}

// Stand is a running pair with onewriter. Its methods are for one goroutine at a time, apart from Switchover.
type Stand struct {
	Pair    *mysqltest.Pair
	Primary string // addresses of the listeners
	Standby string
	Admin   string
	PID     int // of onewriter

	dir string
	run *child.Child
}

// Start starts servers and program and returns when clients are served.
func Start(ctx context.Context, o Options) (*Stand, error) {
	s := &Stand{}
	err := s.start(ctx, o)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Stand) start(ctx context.Context, o Options) (err error) {
	s.Pair, err = mysqltest.StartPair(ctx, mysqltest.PairOptions{Flavor: o.Flavor, Fast: true, Config: o.Servers})
	if err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "onewriter-stand-"); err != nil {
		return err
	}
	for _, addr := range []*string{&s.Primary, &s.Standby, &s.Admin} {
		if *addr, err = suite.FreeAddr(); err != nil {
			return err
		}
	}
	if err := s.configure(o); err != nil {
		return err
	}
	return s.launch(ctx, o.Program)
}

func (s *Stand) configure(o Options) error {
	var servers strings.Builder
	for i, server := range s.Pair.Servers {
		addr := server.Addr()
		if o.Through != nil {
			addr = o.Through(addr)
		}
		fmt.Fprintf(&servers, "      - {name: %c, address: %q}\n", 'a'+i, addr)
	}
	text := fmt.Sprintf(`clusters:
  - name: test
    servers:
%s    listeners:
      - {address: %q, route: primary}
      - {address: %q, route: standby, max_replication_lag: 5s, fallback: primary}
    control: {user: %s, password: %s}
    replication: {user: %s, password: %s}
    failover: {mode: manual}
%sadmin: {address: %q}
log: {level: debug, format: json}
state_dir: %q
`, servers.String(), s.Primary, s.Standby, mysqltest.ControlUser, mysqltest.ControlPassword, mysqltest.ReplicationUser, mysqltest.ReplicationPassword,
		o.Cluster, s.Admin, filepath.Join(s.dir, "state"))
	return os.WriteFile(s.config(), []byte(text), 0o600)
}

func (s *Stand) config() string { return filepath.Join(s.dir, "onewriter.yaml") }

// LogFile is what onewriter logs to.
func (s *Stand) LogFile() string { return filepath.Join(s.dir, "log") }

// Log gives the last limit bytes of onewriter's log, in whole lines.
func (s *Stand) Log(limit int) string { return s.run.Tail(limit) }

func (s *Stand) launch(ctx context.Context, executable string) error {
	var err error
	s.run, err = child.Start(child.Command{Argv: []string{executable, "serve", "--config", s.config()}, Log: s.LogFile()})
	if err != nil {
		return err
	}
	s.PID = s.run.PID
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.call(ctx, http.MethodGet, "/readyz", "")
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.run.Done():
			return fmt.Errorf("onewriter has ended: %s", s.Log(4000))
		case <-ctx.Done():
			return fmt.Errorf("onewriter is not ready: %w: %s", err, s.Log(4000))
		}
	}
}

// Running reports whether onewriter has not ended.
func (s *Stand) Running() bool { return s.run.Running() }

// Switchover moves the primary role to the other server and returns when it is there. While the standby lags it waits.
func (s *Stand) Switchover(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, switchTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.call(ctx, http.MethodPost, "/api/v1/clusters/test/switchover", "{}")
		if err == nil || !strings.Contains(err.Error(), "lags") {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// Get gives the body of a page of the admin endpoint.
func (s *Stand) Get(ctx context.Context, path string) (string, error) {
	return s.request(ctx, http.MethodGet, path, "")
}

func (s *Stand) call(ctx context.Context, method, path, body string) error {
	_, err := s.request(ctx, method, path, body)
	return err
}

func (s *Stand) request(ctx context.Context, method, path, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.Admin+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	return string(text), err
}

// Close ends program and servers and removes their files.
func (s *Stand) Close() error {
	if s.run != nil {
		s.run.Kill()
	}
	var err error
	if s.Pair != nil {
		err = s.Pair.Close()
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}
