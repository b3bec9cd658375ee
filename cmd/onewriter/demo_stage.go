package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/onewriter/onewriter/admin/client"
	"github.com/onewriter/onewriter/internal/demo"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/scripts"
)

// Names and limits of the demo.
const (
	demoCluster    = "demo"
	demoReady      = 30 * time.Second // from the start of the proxy until it is ready
	demoGrace      = 10 * time.Second // for the proxy to end
	demoReadyEvery = 50 * time.Millisecond
)

// stage is what the demo plays on: servers, and a proxy in front of them as a process of its own.
type stage struct {
	pair                   *mysqltest.Pair
	dir                    string // configuration, state and log of the proxy
	keep                   bool
	proxy                  *demo.Child
	writes, reads, address string // host:port of the listeners and the admin endpoint
	admin                  *client.Client
}

// demoServerName is what the configuration calls the server with index i.
func demoServerName(i int) string { return string(rune('a' + i)) }

// ensureInstalled runs the installation script when the servers are missing.
func ensureInstalled(ctx context.Context, f mysqltest.Flavor, say func(string)) error {
	missing := mysqltest.Installed(f)
	if missing == nil {
		return nil
	}
	say(fmt.Sprintf("installing %s, which takes a minute", f))
	dir, err := os.MkdirTemp("", "onewriter-install-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	script := filepath.Join(dir, "install-test-deps")
	if err := os.WriteFile(script, scripts.InstallTestDeps, 0o700); err != nil { //nolint:gosec // it is a program
		return err
	}
	cmd := exec.CommandContext(ctx, "bash", script, "--"+f.String())
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = demoGrace
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w; installing it failed: %w", missing, err)
	}
	return mysqltest.Installed(f)
}

// newStage starts the servers and the proxy. The caller must close it.
func newStage(ctx context.Context, o demoOptions, f mysqltest.Flavor) (_ *stage, err error) {
	s := &stage{keep: o.keepDirs}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(context.WithoutCancel(ctx)))
		}
	}()
	if s.pair, err = mysqltest.StartPair(ctx, mysqltest.PairOptions{Flavor: f, FilePos: o.filePos}); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "onewriter-demo-"); err != nil {
		return nil, err
	}
	if err := s.startProxy(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// startProxy writes the configuration, runs `onewriter serve` with it, and waits until that is ready.
func (s *stage) startProxy(ctx context.Context) (err error) {
	for _, p := range []struct {
		address *string
		port    int
	}{{&s.writes, 6446}, {&s.reads, 6447}, {&s.address, 8989}} {
		if *p.address, err = freeAddress(ctx, p.port); err != nil {
			return err
		}
	}
	config := s.configPath()
	if err := os.WriteFile(config, []byte(s.config()), 0o600); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if s.admin, err = client.New(s.address, ""); err != nil {
		return err
	}
	if s.proxy, err = demo.StartChild([]string{program, "serve", "--config", config}, filepath.Join(s.dir, "onewriter.log")); err != nil {
		return err
	}
	if err := s.awaitReady(ctx); err != nil {
		return fmt.Errorf("%w\nend of the proxy's log:\n%s", err, s.proxy.Log())
	}
	return nil
}

func (s *stage) configPath() string { return filepath.Join(s.dir, "onewriter.yaml") }

func (s *stage) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Written by `onewriter demo`.\nclusters:\n  - name: %s\n    servers:\n", demoCluster)
	for i, server := range s.pair.Servers {
		fmt.Fprintf(&b, "      - {name: %s, address: %q}\n", demoServerName(i), server.Addr())
	}
	fmt.Fprintf(&b, `    listeners:
      - {address: %q, route: primary}
      - {address: %q, route: standby, max_replication_lag: 5s, fallback: primary}
    control: {user: %s, password: %s}
    failover: {mode: manual}
admin: {address: %q}
log: {level: info, format: console}
state_dir: %q
shutdown: {grace: 2s}
`, s.writes, s.reads, mysqltest.ControlUser, mysqltest.ControlPassword, s.address, filepath.Join(s.dir, "state"))
	return b.String()
}

// freeAddress returns the loopback address with the wanted port, or with any free one if that is taken.
func freeAddress(ctx context.Context, wanted int) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(wanted)))
	if err != nil {
		if l, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return "", fmt.Errorf("finding a free port: %w", err)
		}
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// awaitReady waits until /readyz is 200.
func (s *stage) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoReady)
	defer cancel()
	tick := time.NewTicker(demoReadyEvery)
	defer tick.Stop()
	for {
		if s.ready(ctx) {
			return nil
		}
		select {
		case <-s.proxy.Done():
			return errors.New("the proxy ended while it started")
		case <-ctx.Done():
			return fmt.Errorf("the proxy is not ready: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func (s *stage) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

// dsn is the clients' data source name for a listener.
func (s *stage) dsn(listener string) string {
	return mysqltest.AppUser + ":" + mysqltest.AppPassword + "@tcp(" + listener + ")/app"
}

// status asks the proxy who is primary.
func (s *stage) status(ctx context.Context) (demo.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c, err := s.admin.Cluster(ctx, demoCluster)
	if err != nil {
		return demo.Status{}, err
	}
	return demo.Status{Epoch: c.Epoch, Primary: c.Primary, Settled: c.State == "running"}, nil
}

// servers are the servers as the check wants them.
func (s *stage) servers() []demo.Server {
	out := make([]demo.Server, len(s.pair.Servers))
	for i, server := range s.pair.Servers {
		out[i] = demo.Server{Name: demoServerName(i), ID: server.ServerID, DB: server.DB(), Schema: "app"}
	}
	return out
}

// close ends the proxy, then the servers, and removes all files.
func (s *stage) close(ctx context.Context) error {
	var errs []error
	if s.proxy != nil {
		if err := s.proxy.Stop(ctx, demoGrace); err != nil {
			errs = append(errs, fmt.Errorf("stopping the proxy: %w\nend of its log:\n%s", err, s.proxy.Log()))
		}
	}
	if s.pair != nil {
		errs = append(errs, s.pair.Close())
	}
	if s.dir != "" && !s.keep {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}
