package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/onewriter/onewriter/internal/child"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// The targets, in the order of the table's columns.
const (
	direct = iota
	haproxy
	onewriter
	targets
)

var targetNames = [targets]string{"direct", "haproxy", "onewriter"}

// target is a way to reach the primary.
type target struct {
	port  int
	admin string  // where onewriter tells its metrics; empty for the others
	proc  process // 0: nothing between client and server
	tls   bool    // TLS from the first byte on, where a client has no server to agree on it with

	children []*child.Child // end with the rig; proc is the last of them

	background float64 // allocations a second of an idle onewriter
}

// rig is the servers and proxies of a run.
type rig struct {
	o        options
	flavor   mysqltest.Flavor
	tls      tlsMode
	dir      string
	pair     *mysqltest.Pair
	targets  [targets]*target // nil where HAProxy is not installed
	progress io.Writer
}

// newRig starts everything.
func newRig(ctx context.Context, o options, flavor mysqltest.Flavor, progress io.Writer) (*rig, error) {
	if _, err := exec.LookPath("sysbench"); err != nil {
		return nil, fmt.Errorf("the load comes from sysbench (run scripts/install-test-deps --bench): %w", err)
	}
	r := &rig{o: o, flavor: flavor, progress: progress}
	var err error
	if r.dir, err = os.MkdirTemp("", "onewriter-bench-"); err != nil {
		return nil, err
	}
	if err := r.makeCertificate(); err != nil {
		return nil, errors.Join(err, r.close())
	}
	r.say("starting a pair of %s", flavor)
	r.pair, err = mysqltest.StartPair(ctx, mysqltest.PairOptions{Flavor: flavor, Fast: true, Config: map[string]string{
		"max-connections": strconv.Itoa(o.most() + 500), "back-log": "1000", "ssl-cert": r.certFile(), "ssl-key": r.keyFile(), "ssl-ca": r.certFile(),
	}})
	if err == nil {
		r.targets[direct] = &target{port: r.pair.Servers[0].Port}
		err = r.startProxies(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// startProxies starts onewriter and HAProxy, or starts them anew.
func (r *rig) startProxies(ctx context.Context) error {
	if err := r.stopProxies(); err != nil {
		return err
	}
	var err error
	if r.targets[onewriter], err = r.startOnewriter(ctx); err != nil {
		return fmt.Errorf("onewriter: %w", err)
	}
	path := haproxyProgram()
	if path == "" {
		return nil
	}
	if r.targets[haproxy], err = r.startHAProxy(ctx, path); err != nil {
		return fmt.Errorf("haproxy: %w", err)
	}
	return nil
}

func (r *rig) startOnewriter(ctx context.Context) (*target, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	var servers strings.Builder
	for i, s := range r.pair.Servers {
		fmt.Fprintf(&servers, "      - {name: %c, address: %q}\n", 'a'+i, s.Addr())
	}
	state, err := os.MkdirTemp(r.dir, "state-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(r.dir, "onewriter.yaml")
	err = os.WriteFile(file, fmt.Appendf(nil, `clusters:
  - name: bench
    servers:
%s    listeners:
      - {address: "127.0.0.1:%d", route: primary, tls: %s, max_connections: %d}
    control: {user: %s, password: %s}
    server_tls: {mode: %q}
    failover: {mode: manual}
admin: {address: "127.0.0.1:%d", pprof: %t}
log: {level: warn, format: console}
state_dir: %q
`, servers.String(), ports[0], r.listenerTLS(), r.o.most()+500, mysqltest.ControlUser, mysqltest.ControlPassword, r.tls.server(),
		ports[1], r.o.wait, state), 0o600)
	if err != nil {
		return nil, err
	}
	t := &target{port: ports[0], admin: fmt.Sprintf("http://127.0.0.1:%d", ports[1])}
	return t, r.start(ctx, t, []string{r.o.program, "serve", "--config", file}, func() error { return ready(ctx, t.admin+"/readyz") })
}

// start runs a proxy and waits until it is up.
func (r *rig) start(ctx context.Context, t *target, argv []string, up func() error) error {
	log := filepath.Join(r.dir, fmt.Sprintf("%s-%d.log", filepath.Base(argv[0]), len(t.children)))
	c, err := child.Start(child.Command{Argv: argv, Log: log, Clean: true})
	if err != nil {
		return err
	}
	t.children, t.proc = append(t.children, c), process(c.PID)
	limit, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := up()
		if err == nil {
			return nil
		}
		select {
		case <-limit.Done():
			err = fmt.Errorf("does not get ready: %w", err)
		case <-c.Done():
			err = errors.New("ended")
		case <-tick.C:
			continue
		}
		err = fmt.Errorf("%w\n%s", err, c.Tail(4000))
		return errors.Join(err, t.stop())
	}
}

func (t *target) stop() error {
	var errs []error
	for _, c := range t.children {
		errs = append(errs, c.Stop(15*time.Second))
	}
	return errors.Join(errs...)
}

func (r *rig) stopProxies() error {
	var errs []error
	for i, t := range r.targets {
		if t == nil || len(t.children) == 0 {
			continue
		}
		// HAProxy ends with the status of the signal, which is no news.
		if err := t.stop(); err != nil && i == onewriter {
			errs = append(errs, fmt.Errorf("stopping %s: %w", targetNames[i], err))
		}
		r.targets[i] = nil
	}
	return errors.Join(errs...)
}

func (r *rig) close() error {
	err := r.stopProxies()
	if r.pair != nil {
		err = errors.Join(err, r.pair.Close())
	}
	return errors.Join(err, os.RemoveAll(r.dir))
}

// tell prints where everything is, for measuring by hand.
func (r *rig) tell(out io.Writer) {
	for i, t := range r.targets {
		if t != nil {
			fmt.Fprintf(out, "%s: port %d, process %d, admin %s\n", targetNames[i], t.port, t.proc, t.admin)
		}
	}
}

func (r *rig) say(format string, args ...any) {
	fmt.Fprintf(r.progress, format+"\n", args...)
}

// each runs fn at every target, in an order that changes with the round, and notes what it measured. A nil sample
// means that there is nothing to note.
//
// What a direct connection does costs no proxy anything: the first round is enough to know it.
func (r *rig) each(round int, fn func(t *target) (samples, error)) (out [targets]samples, err error) {
	for k := range targets {
		i := (k + round) % targets
		if r.targets[i] == nil || i == direct && round > 0 {
			continue
		}
		if out[i], err = fn(r.targets[i]); err != nil {
			return out, fmt.Errorf("%s: %w", targetNames[i], err)
		}
	}
	return out, nil
}

func haproxyProgram() string {
	for _, name := range []string{"haproxy", "/usr/sbin/haproxy"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// most is how many sessions are open at a time at most.
func (o options) most() int { return max(o.sessions, o.many) + warmSessions }

// version is that of the servers.
func (r *rig) version(ctx context.Context) (v string, err error) {
	err = r.pair.Servers[0].DB().QueryRowContext(ctx, "SELECT VERSION()").Scan(&v)
	v, _, _ = strings.Cut(v, "-")
	if r.flavor == mysqltest.MySQL {
		return "MySQL " + v, err
	}
	return "MariaDB " + v, err
}

// freePorts finds ports of the loopback interface that nobody listens on.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

func ready(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

func accepts(ctx context.Context, port int) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	return c.Close()
}
