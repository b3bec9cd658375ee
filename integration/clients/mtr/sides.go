package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/integration/clients/stand"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// sides are two servers with the same settings and the same history.
type sides struct {
	direct, proxied *side
	out             string
	dir             string
	alone           *mysqltest.Server
	stand           *stand.Stand
}

// config are the servers' options: those that tests are written for, as far as they don't concern replication.
func config(f mysqltest.Flavor) map[string]string {
	m := map[string]string{
		"skip-name-resolve": "OFF", "auto-increment-increment": "1", "auto-increment-offset": "1", "connect-timeout": "60",
		"log-bin-trust-function-creators": "1", "key-buffer-size": "1M", "sort-buffer-size": "256K", "max-heap-table-size": "1M",
		"max-connections": "151", "max-allowed-packet": "16M",
	}
	if f == mysqltest.MySQL {
		m["secure-file-priv"] = "/"
		return m
	}
	m["plugin-load-add"] = "metadata_lock_info;auth_ed25519;locales;query_response_time;disks"
	m["character-set-server"], m["default-storage-engine"] = "latin1", "myisam"
	m["use-stat-tables"], m["histogram-type"] = "preferably", "json_hb"
	return m
}

// open starts the servers, and onewriter in front of one of them, whose standby does not follow: what tests do is not for it.
func open(ctx context.Context, o options, in installation) (s *sides, err error) {
	s = &sides{out: o.out}
	own := os.TempDir()
	defer func() {
		err = errors.Join(err, os.Setenv("TMPDIR", own)) // place sets it
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.dir, err = os.MkdirTemp("", "mtr-"); err != nil {
		return s, err
	}
	if err = os.Setenv("TZ", "GMT-3"); err != nil { // what the tests' results are of
		return s, err
	}
	if s.proxied, err = s.place("p", o, in); err != nil {
		return s, err
	}
	if s.stand, err = stand.Start(ctx, stand.Options{Flavor: o.flavor, Program: o.program, Servers: config(o.flavor), Cluster: "    health: {heartbeat: false}\n"}); err != nil {
		return s, err
	}
	if s.direct, err = s.place("d", o, in); err != nil {
		return s, err
	}
	if s.alone, err = mysqltest.Start(ctx, mysqltest.Options{Flavor: o.flavor, ServerID: s.stand.Pair.Servers[0].ServerID, Fast: true, Config: config(o.flavor)}); err != nil {
		return s, err
	}
	for _, q := range mysqltest.Accounts(o.flavor) {
		if _, err = s.alone.DB().ExecContext(ctx, q); err != nil {
			return s, fmt.Errorf("%s: %w", q, err)
		}
	}
	for _, server := range s.stand.Pair.Servers {
		if o.moves > 0 {
			break
		}
		for _, q := range map[mysqltest.Flavor][]string{
			mysqltest.MariaDB: {"STOP SLAVE", "RESET SLAVE ALL"}, mysqltest.MySQL: {"STOP REPLICA", "RESET REPLICA ALL"},
		}[o.flavor] {
			if _, err = server.DB().ExecContext(ctx, q); err != nil {
				return s, fmt.Errorf("%s: %w", q, err)
			}
		}
	}
	if err = s.direct.prepare(ctx, s.alone, s.alone.Addr()); err != nil {
		return s, err
	}
	return s, s.proxied.prepare(ctx, s.stand.Pair.Servers[0], s.stand.Primary)
}

// place makes the directory of a side, in which its server's will be: tests name files by the way from there.
func (s *sides) place(name string, o options, in installation) (*side, error) {
	one := &side{in: in, vardir: filepath.Join(s.dir, name), args: strings.Fields(o.args), limit: o.limit, moves: o.moves > 0}
	if err := os.MkdirAll(one.vardir, 0o755); err != nil {
		return nil, err
	}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.Symlink(filepath.Join(in.dir, "std_data"), filepath.Join(one.vardir, "std_data")); err != nil {
		return nil, err
	}
	return one, errors.Join(one.files(), os.Setenv("TMPDIR", one.vardir))
}

// prepare makes the server one that tests find as they expect: root without password, and the schema mtr.
func (s *side) prepare(ctx context.Context, server *mysqltest.Server, addr string) error {
	if err := s.at(addr); err != nil {
		return err
	}
	s.socket, s.data = server.Socket(), filepath.Join(server.Dir, "data")
	for _, q := range []string{
		"ALTER USER root@localhost IDENTIFIED BY ''", "GRANT ALL ON *.* TO root@localhost WITH GRANT OPTION",
		"CREATE DATABASE mtr", "CREATE PROCEDURE mtr.add_suppression(pattern VARCHAR(255)) BEGIN END", "CREATE DATABASE IF NOT EXISTS test" + s.in.testCharset(), "CREATE DATABASE IF NOT EXISTS onewriter",
		"DROP USER IF EXISTS root@127.0.0.1",
	} {
		if _, err := server.DB().ExecContext(ctx, q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.AllowNativePasswords = "root", "unix", server.Socket(), true
	if s.moves {
		c.Net, c.Addr = "tcp", addr
	}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return err
	}
	s.db = sql.OpenDB(connector)
	s.db.SetMaxIdleConns(0) // tests look at the process list
	s.first, err = s.in.state(ctx, s.db)
	return err
}

// clean brings both servers back to where they were, and looks that onewriter serves.
func (s *sides) clean(ctx context.Context) error {
	if err := errors.Join(s.direct.clean(ctx), s.proxied.clean(ctx)); err != nil || s.stand.Running() {
		return err
	}
	return fmt.Errorf("onewriter has ended: %s", s.stand.Log(4000))
}

func (s *sides) close() error {
	var err error
	if s.stand != nil {
		err = s.stand.Close()
	}
	if s.alone != nil {
		err = errors.Join(err, s.alone.Close())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
