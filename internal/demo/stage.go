package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/onewriter/onewriter/admin/client"
	"github.com/onewriter/onewriter/internal/child"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// clusterName is the name of the pair in the configuration.
const clusterName = "demo"

// Bounds of what the stage does.
const (
	readyTimeout = 30 * time.Second
	stopGrace    = 8 * time.Second
	readyEvery   = 25 * time.Millisecond
)

// The usual ports, taken when they are free.
const (
	primaryPort = 6446
	standbyPort = 6447
	adminPort   = 8989
)

// logTail is how much of the program's log is shown when it fails, in bytes.
const logTail = 4000

// stage is everything that runs: the servers and the program before them. close ends all of it.
type stage struct {
	dir    string
	pair   *mysqltest.Pair
	serve  *child.Child
	admin  *client.Client
	usual  bool // the usual ports were free
	addrs  addresses
	config string
}

// addresses are what clients connect to.
type addresses struct{ primary, standby, admin string }

// serverName is how the configuration calls the server with index i.
func serverName(i int) string { return string(rune('a' + i)) }

// other is the server that is not name.
func other(name string) string {
	if name == serverName(0) {
		return serverName(1)
	}
	return serverName(0)
}

func newStage() (*stage, error) {
	dir, err := os.MkdirTemp("", "onewriter-demo-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the demo: %w", err)
	}
	return &stage{dir: dir}, nil
}

// startServers starts the pair.
func (s *stage) startServers(ctx context.Context, f mysqltest.Flavor) (err error) {
	if s.pair, err = mysqltest.StartPair(ctx, mysqltest.PairOptions{Flavor: f}); err != nil {
		return fmt.Errorf("start a pair of %s servers: %w", f, err)
	}
	return nil
}

// startOnewriter runs program before the pair and waits until it is ready. Another process may take a port between the
// look at it and its use, so that this is tried again.
func (s *stage) startOnewriter(ctx context.Context, program string) error {
	for try := 0; ; try++ {
		err := s.tryOnewriter(ctx, program)
		if err == nil || try == 2 || ctx.Err() != nil || s.serve == nil || !strings.Contains(s.serve.Tail(logTail), "address already in use") {
			return err
		}
		_ = s.serve.Stop(stopGrace) // it is gone
	}
}

func (s *stage) tryOnewriter(ctx context.Context, program string) (err error) {
	if s.addrs, s.usual, err = choosePorts(); err != nil {
		return err
	}
	s.config = filepath.Join(s.dir, "onewriter.yaml")
	if err := os.WriteFile(s.config, []byte(s.yaml()), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	s.serve, err = child.Start(child.Command{Argv: []string{program, "serve", "--config", s.config}, Log: filepath.Join(s.dir, "onewriter.log"), Clean: true})
	if err != nil {
		return err
	}
	if s.admin, err = client.New(s.addrs.admin, ""); err != nil {
		return err
	}
	return s.awaitReady(ctx)
}

// yaml is the configuration, as a user would write it.
func (s *stage) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "clusters:\n  - name: %s\n    servers:\n", clusterName)
	for i, server := range s.pair.Servers {
		fmt.Fprintf(&b, "      - {name: %s, address: %q}\n", serverName(i), server.Addr())
	}
	fmt.Fprintf(&b, "    listeners:\n      - {address: %q, route: primary}\n", s.addrs.primary)
	fmt.Fprintf(&b, "      - {address: %q, route: standby, max_replication_lag: 5s, fallback: primary}\n", s.addrs.standby)
	fmt.Fprintf(&b, "    control: {user: %s, password: %s}\n", mysqltest.ControlUser, mysqltest.ControlPassword)
	fmt.Fprintf(&b, "    replication: {user: %s, password: %s}\n", mysqltest.ReplicationUser, mysqltest.ReplicationPassword)
	fmt.Fprintf(&b, "    failover: {mode: manual}\nadmin: {address: %q}\nshutdown: {grace: 2s}\nstate_dir: %q\n", s.addrs.admin, filepath.Join(s.dir, "state"))
	return b.String()
}

// awaitReady asks /readyz until it says yes, the program ends or time is up.
func (s *stage) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("not within %s", readyTimeout))
	defer cancel()
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for {
		err := s.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.serve.Done():
			return fmt.Errorf("onewriter serve ended at start (%w):\n%s", endOf(s.serve.Err()), s.serve.Tail(logTail))
		case <-ctx.Done():
			return fmt.Errorf("onewriter serve does not get ready: %w: %w\n%s", context.Cause(ctx), err, s.serve.Tail(logTail))
		}
	}
}

func (s *stage) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addrs.admin+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s", resp.Status, strings.TrimSpace(string(body)))
	}
	if err != nil {
		return err
	}
	return s.ours(ctx)
}

// ours makes sure that it is our own onewriter that answers: another one may have taken the ports in the meantime.
func (s *stage) ours(ctx context.Context) error {
	c, err := s.admin.Cluster(ctx, clusterName)
	if err != nil {
		return err
	}
	for i, server := range s.pair.Servers {
		if i >= len(c.Servers) || c.Servers[i].Address != server.Addr() {
			return errors.New("another onewriter answers at " + s.addrs.admin)
		}
	}
	return nil
}

// close ends everything in order and removes all files.
func (s *stage) close() error {
	var errs []error
	if s.serve != nil {
		_ = s.serve.Stop(stopGrace) // what it has to say of its end is in its log
	}
	if s.pair != nil {
		errs = append(errs, s.pair.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// choosePorts takes the usual ports, and free ones for those that are taken.
func choosePorts() (a addresses, usual bool, err error) {
	usual = true
	var open []net.Listener
	defer func() {
		for _, l := range open {
			_ = l.Close()
		}
	}()
	for port, to := range map[int]*string{primaryPort: &a.primary, standbyPort: &a.standby, adminPort: &a.admin} {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)) //nolint:noctx // local and immediate
		if err != nil {
			usual = false
			l, err = net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // local and immediate
		}
		if err != nil {
			return a, false, fmt.Errorf("find a free port: %w", err)
		}
		open = append(open, l)
		*to = l.Addr().String()
	}
	return a, usual, nil
}

// port is the port of an address.
func port(addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return port
}

func endOf(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}
