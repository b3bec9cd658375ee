package mysqltest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Options say how a server is started. The zero value is a durable MariaDB with GTID.
type Options struct {
	Flavor   Flavor
	ServerID uint32 // 0: one that no other server of this process has
	// FilePos switches GTID off (MySQL), so that replication goes by file and position.
	FilePos bool
	// Fast gives up durability (sync_binlog=0, innodb_flush_log_at_trx_commit=2) for tests that crash nothing.
	Fast bool
	// Workers is the number of parallel applier threads; 0 means 4.
	Workers int
	// StartReadOnly makes the server start read-only each time; on MySQL for privileged accounts too.
	StartReadOnly bool
	// DiskMB puts the data directory on a file system of its own of that many MiB, which needs root; 0 does not.
	DiskMB int
	// Config adds or overrides server options, without leading dashes; an empty value is an option without one.
	Config map[string]string
}

// Server is a running server. Its methods are for one goroutine at a time.
type Server struct {
	Flavor   Flavor
	Port     int
	Dir      string // everything of the server is below; removed by Close
	ServerID uint32

	in    installation
	opts  Options
	disk  bool // the data directory is a mount
	proc  *process
	db    *sql.DB
	locks []*os.File // of Dir and Port
}

// RootPassword is the password of root, who can log in from this machine only.
const RootPassword = "root"

// startTimeout bounds one start of a server, in which it may have to recover from a crash.
const startTimeout = 60 * time.Second

var lastServerID atomic.Uint32

// Start starts one server with the account root and waits until it answers.
func Start(ctx context.Context, o Options) (*Server, error) {
	in, err := find(o.Flavor)
	if err != nil {
		return nil, err
	}
	if o.ServerID == 0 {
		o.ServerID = 100 + lastServerID.Add(1)
	}
	template, err := in.template(ctx)
	if err != nil {
		return nil, err
	}
	s := &Server{Flavor: o.Flavor, ServerID: o.ServerID, in: in, opts: o}
	if err = s.reserve(); err == nil && o.DiskMB > 0 {
		err = s.mountDisk(o.DiskMB)
	}
	if err == nil {
		err = copyDir(ctx, template, s.datadir())
	}
	if err == nil {
		err = s.launch(ctx)
	}
	if err == nil {
		err = s.setRootPassword(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// reserve takes a directory and a port for the server.
func (s *Server) reserve() error {
	dir, owner, err := makeDir(s.Flavor)
	if err != nil {
		return err
	}
	s.Dir, s.locks = dir, append(s.locks, owner)
	if err := os.Mkdir(s.tmpdir(), 0o700); err != nil {
		return err
	}
	port, lock, err := reservePort()
	if err != nil {
		return err
	}
	s.Port, s.locks = port, append(s.locks, lock)
	return nil
}

func (s *Server) datadir() string {
	if s.disk {
		return filepath.Join(s.disks(), "data")
	}
	return filepath.Join(s.Dir, "data")
}

// tmpdir is the server's own: a server that starts removes what looks like temporary tables from the directory it is given.
func (s *Server) tmpdir() string { return filepath.Join(s.Dir, "tmp") }

// Addr is host:port.
func (s *Server) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.Port) }

// Socket is the path of the Unix socket.
func (s *Server) Socket() string { return filepath.Join(s.Dir, "s") }

// Version is what the server program prints as its version.
func (s *Server) Version() string { return s.in.version }

// PID is the process id of the server.
func (s *Server) PID() int { return s.proc.pid }

// DSN is a data source name of go-sql-driver/mysql for an account at this server.
func (s *Server) DSN(user, password, schema string) string {
	return s.account(user, password, schema).FormatDSN()
}

func (s *Server) account(user, password, schema string) *mysql.Config {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName = user, password, "tcp", s.Addr(), schema
	return c
}

// DB is a pool logged in as root. It survives restarts of the server.
func (s *Server) DB() *sql.DB { return s.db }

// Log is the end of the server's error log.
func (s *Server) Log() string {
	text, err := os.ReadFile(filepath.Join(s.Dir, "log"))
	if err != nil {
		return err.Error()
	}
	return tailOf(string(text), 4000)
}

// launch starts the program and waits until root can log in or the server is up otherwise.
func (s *Server) launch(ctx context.Context) error {
	out, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	if s.proc, err = startProcess(s.in.command, s.arguments(), out); err != nil {
		return fmt.Errorf("start %s: %w", s.Flavor, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	probe := time.NewTicker(25 * time.Millisecond)
	defer probe.Stop()
	for {
		conn, err := net.Dial("unix", s.Socket())
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.proc.done:
			return fmt.Errorf("%s ended at start: %s", s.Flavor, s.Log())
		case <-ctx.Done():
			return fmt.Errorf("%s did not start: %w: %s", s.Flavor, context.Cause(ctx), s.Log())
		case <-probe.C:
		}
	}
}

func (s *Server) arguments() []string {
	args := append([]string{"--no-defaults"}, s.in.settings...)
	args = append(append(args, asUser()...), "--datadir="+s.datadir(), "--socket="+s.Socket(),
		"--pid-file="+filepath.Join(s.Dir, "pid"), "--tmpdir="+s.tmpdir(), "--bind-address=127.0.0.1", "--port="+strconv.Itoa(s.Port),
		"--server-id="+strconv.FormatUint(uint64(s.ServerID), 10))
	all := s.settings()
	for k, v := range s.opts.Config {
		all[k] = v
	}
	names := make([]string, 0, len(all))
	for k := range all {
		names = append(names, k)
	}
	sort.Strings(names)
	for _, k := range names {
		if all[k] == "" {
			args = append(args, "--"+k)
		} else {
			args = append(args, "--"+k+"="+all[k])
		}
	}
	return args
}

// settings are what a well-kept replicating server has, small.
func (s *Server) settings() map[string]string {
	workers := s.opts.Workers
	if workers == 0 {
		workers = 4
	}
	in := s.in
	m := map[string]string{
		"log-bin": "binlog", "binlog-format": "ROW", "relay-log": "relay", "report-host": "127.0.0.1",
		"report-port": strconv.Itoa(s.Port), "skip-name-resolve": "", "local-infile": "1", "max-connections": "500",
		"innodb-buffer-pool-size": "64M", "sync-binlog": "1", "innodb-flush-log-at-trx-commit": "1",
		"auto-increment-increment": "2", "auto-increment-offset": strconv.Itoa(1 + int(s.ServerID)%2),
		"max-allowed-packet": "64M", "relay-log-recovery": "1",
	}
	if s.opts.StartReadOnly {
		m["read-only"] = "1"
		if in.superReadOnly() {
			m["super-read-only"] = "1"
		}
	}
	if s.opts.Fast {
		m["sync-binlog"], m["innodb-flush-log-at-trx-commit"] = "0", "2"
	}
	if s.Flavor == MySQL {
		in.mysqlSettings(m, workers)
		m["gtid-mode"], m["enforce-gtid-consistency"] = "ON", "ON"
		if s.opts.FilePos {
			m["gtid-mode"], m["enforce-gtid-consistency"] = "OFF", "OFF"
		}
		return m
	}
	m["log-slave-updates"], m["slave-net-timeout"], m["slave-parallel-threads"] = "1", "3", strconv.Itoa(workers)
	m["gtid-strict-mode"], m["innodb-log-file-size"], m["slave-parallel-mode"] = "1", "32M", "optimistic"
	if s.opts.FilePos {
		m["gtid-strict-mode"] = "0"
	}
	if in.hasPlugin("auth_ed25519") {
		m["plugin-load-add"] = "auth_ed25519"
	}
	return m
}

// setRootPassword opens root's account for TCP from this machine. None of it is logged to the binary log.
func (s *Server) setRootPassword(ctx context.Context) error {
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr = "root", "unix", s.Socket()
	c.AllowNativePasswords, c.MultiStatements = true, true
	socket, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		return err
	}
	defer func() { _ = socket.Close() }()
	conn, err := s.firstConn(ctx, socket)
	if err != nil {
		return fmt.Errorf("log in to the new %s: %w", s.Flavor, err)
	}
	defer func() { _ = conn.Close() }()
	if s.opts.StartReadOnly {
		if _, err := conn.ExecContext(ctx, "SET GLOBAL read_only=0"); err != nil { // on MySQL that clears super_read_only too
			return fmt.Errorf("open the new %s: %w", s.Flavor, err)
		}
	}
	host := "127.0.0.1"
	if s.opts.Config["skip-name-resolve"] == "OFF" {
		host = "localhost"
	}
	for _, q := range append([]string{"SET SESSION sql_log_bin=0"}, s.in.rootAccount(host)...) {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	root := s.account("root", RootPassword, "")
	root.InterpolateParams, root.Logger = true, &mysql.NopLogger{} // tests end servers under their connections
	connector, err := mysql.NewConnector(root)
	if err != nil {
		return err
	}
	s.db = sql.OpenDB(connector)
	if s.opts.StartReadOnly {
		return s.SetReadOnly(ctx, true)
	}
	return nil
}

// firstConn retries for a moment: a server that listens may still refuse logins.
func (s *Server) firstConn(ctx context.Context, db *sql.DB) (*sql.Conn, error) {
	for tries := 0; ; tries++ {
		conn, err := db.Conn(ctx)
		if err == nil || tries == 50 {
			return conn, err
		}
		timer := time.NewTimer(100 * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

// Kill9 ends the server the hard way and waits for that.
func (s *Server) Kill9() { s.proc.kill() }

// Pause stops the server's threads without ending it (SIGSTOP).
func (s *Server) Pause() { s.proc.signal(syscall.SIGSTOP) }

// Continue undoes Pause.
func (s *Server) Continue() { s.proc.signal(syscall.SIGCONT) }

// Stop shuts the server down in order and waits for that.
func (s *Server) Stop(ctx context.Context) error {
	s.proc.signal(syscall.SIGTERM)
	select {
	case <-s.proc.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop %s: %w", s.Flavor, context.Cause(ctx))
	}
}

// Restart starts a server again that has ended, with the same data on the same port. config overrides options as
// Options.Config does; nil keeps them.
func (s *Server) Restart(ctx context.Context, config map[string]string) error {
	s.Kill9()
	if config != nil {
		s.opts.Config = config
	}
	_ = os.Remove(s.Socket())
	if err := s.launch(ctx); err != nil {
		return err
	}
	conn, err := s.firstConn(ctx, s.db)
	if err != nil {
		return fmt.Errorf("log in after the restart: %w", err)
	}
	return conn.Close()
}

// Close ends the server and removes all that is on disk of it.
func (s *Server) Close() error {
	if s.db != nil {
		_ = s.db.Close() // its connections may have been killed by whatever was tested
	}
	if s.proc != nil {
		s.proc.kill()
	}
	err := s.unmountDisk()
	if s.Dir != "" {
		err = errors.Join(err, os.RemoveAll(s.Dir))
	}
	for _, l := range s.locks {
		err = errors.Join(err, l.Close())
	}
	s.locks = nil
	return err
}
