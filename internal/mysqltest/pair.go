package mysqltest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// The accounts that every pair has, on all its servers.
const (
	ControlUser         = "onewriter"
	ControlPassword     = "onewriter-secret"
	ReplicationUser     = "repl"
	ReplicationPassword = "repl-secret"
	AppUser             = "app" // all rights on the schema app, none beyond
	AppPassword         = "app-secret"
)

// PairOptions say how a pair is started. The zero value is a durable circular MariaDB pair with GTID.
type PairOptions struct {
	Flavor  Flavor
	Star    bool // the primary does not replicate from its standby
	FilePos bool // replication by file and position
	// SemiSync switches semi-synchronous replication on: AFTER_SYNC, no timeout, source side on the primary only and
	// not after its restart.
	SemiSync bool
	Standbys int // 0 means 1; more than 1 makes a star around the primary
	Workers  int // parallel applier threads, 0 means 4
	Fast     bool
	// StartReadOnly makes every server start read-only, as it should be where failovers are automatic.
	StartReadOnly bool
	// DiskMB puts the data of each server on a file system of its own with that many MiB, which needs root; 0 does not.
	DiskMB int
	// Route gives the address at which server from reaches server to, which listens at addr; nil means addr.
	Route  func(from, to int, addr string) string
	Config map[string]string // options of all servers
}

// Pair is a primary with its standbys.
type Pair struct {
	Servers []*Server // the first one is the primary at the start
	opts    PairOptions
}

// StartPair starts the servers, creates the accounts and the schema app, and returns when all replicate and have the
// same history. The standbys are read-only.
func StartPair(ctx context.Context, o PairOptions) (*Pair, error) {
	n := max(o.Standbys, 1) + 1
	p := &Pair{Servers: make([]*Server, n), opts: o}
	first := lastServerID.Add(uint32(n)) - uint32(n)
	var g errgroup.Group
	for i := range n {
		g.Go(func() (err error) {
			p.Servers[i], err = Start(ctx, Options{
				Flavor: o.Flavor, ServerID: 101 + first + uint32(i), FilePos: o.FilePos, Fast: o.Fast, Workers: o.Workers,
				StartReadOnly: o.StartReadOnly, DiskMB: o.DiskMB, Config: p.config(),
			})
			return err
		})
	}
	err := g.Wait()
	if err == nil {
		err = p.join(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Pair) config() map[string]string {
	m := map[string]string{}
	if p.opts.SemiSync {
		if p.opts.Flavor == MySQL {
			source, replica := p.semiSyncWords()
			m["plugin-load"] = "semisync_" + source + ".so;semisync_" + replica + ".so"
			m["loose-rpl-semi-sync-"+replica+"-enabled"], m["loose-rpl-semi-sync-"+source+"-timeout"] = "1", "1000000000"
		} else {
			m["rpl-semi-sync-slave-enabled"] = "1"
			m["rpl-semi-sync-master-wait-point"], m["rpl-semi-sync-master-timeout"] = "AFTER_SYNC", "1000000000"
		}
	}
	for k, v := range p.opts.Config {
		m[k] = v
	}
	return m
}

func (p *Pair) join(ctx context.Context) error {
	primary := p.Servers[0]
	if err := primary.SetReadOnly(ctx, false); err != nil {
		return err
	}
	at := map[*Server]coordinates{}
	for _, s := range p.Servers {
		c, err := s.coordinates(ctx)
		if err != nil {
			return err
		}
		at[s] = c
	}
	// The accounts come first: a link that finds none waits for a second before it tries again.
	for _, q := range Accounts(p.opts.Flavor) {
		if _, err := primary.DB().ExecContext(ctx, q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	for i, s := range p.Servers[1:] {
		if err := s.followVia(ctx, primary, p.route(i+1, 0), p.opts.FilePos, at[primary]); err != nil {
			return err
		}
		if err := s.SetReadOnly(ctx, true); err != nil {
			return err
		}
	}
	if err := p.await(ctx, p.Servers[1:]); err != nil {
		return err
	}
	replicas := p.Servers[1:]
	if !p.opts.Star && len(p.Servers) == 2 {
		if err := primary.followVia(ctx, p.Servers[1], p.route(0, 1), p.opts.FilePos, at[p.Servers[1]]); err != nil {
			return err
		}
		replicas = p.Servers
	}
	if err := p.await(ctx, replicas); err != nil || !p.opts.SemiSync {
		return err
	}
	q := "SET GLOBAL rpl_semi_sync_master_enabled=1"
	if p.opts.Flavor == MySQL {
		source, _ := p.semiSyncWords()
		q = "SET GLOBAL rpl_semi_sync_" + source + "_enabled=1"
	}
	_, err := primary.DB().ExecContext(ctx, q)
	return err
}

// Accounts is the SQL that creates the schema app and the accounts of a pair.
func Accounts(f Flavor) []string {
	out := []string{
		"CREATE DATABASE app",
		"CREATE USER '" + ReplicationUser + "'@'%' IDENTIFIED BY '" + ReplicationPassword + "'",
		"GRANT REPLICATION SLAVE ON *.* TO '" + ReplicationUser + "'@'%'",
		"CREATE USER '" + AppUser + "'@'%' IDENTIFIED BY '" + AppPassword + "'",
		"GRANT ALL ON app.* TO '" + AppUser + "'@'%'",
		"CREATE USER '" + ControlUser + "'@'%' IDENTIFIED BY '" + ControlPassword + "'",
	}
	return append(out, ControlGrants(f, "'"+ControlUser+"'@'%'")...)
}

type coordinates struct {
	file string
	pos  uint64
}

// coordinates are the end of the server's binary log.
func (s *Server) coordinates(ctx context.Context) (c coordinates, err error) {
	row, err := s.Row(ctx, s.in.binlogStatus())
	if err != nil {
		return c, err
	}
	c.file = row["File"]
	_, err = fmt.Sscan(row["Position"], &c.pos)
	return c, err
}

// Row runs a query and gives its first row by column name; nil when there is none.
func (s *Server) Row(ctx context.Context, query string) (map[string]string, error) {
	rows, err := s.db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil || !rows.Next() {
		return nil, errors.Join(err, rows.Err())
	}
	values := make([]sql.NullString, len(names))
	pointers := make([]any, len(names))
	for i := range values {
		pointers[i] = &values[i]
	}
	if err := rows.Scan(pointers...); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for i, n := range names {
		out[n] = values[i].String
	}
	return out, rows.Err()
}

// route is the address at which one server reaches another.
func (p *Pair) route(from, to int) string {
	addr := p.Servers[to].Addr()
	if p.opts.Route != nil {
		addr = p.opts.Route(from, to, addr)
	}
	return addr
}

// Follow makes s replicate from source, by GTID or from the coordinates at.
func (s *Server) Follow(ctx context.Context, source *Server, filePos bool, at coordinates) error {
	return s.followVia(ctx, source, source.Addr(), filePos, at)
}

func (s *Server) followVia(ctx context.Context, source *Server, addr string, filePos bool, at coordinates) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address of server %d: %w", source.ServerID, err)
	}
	var q []string
	switch {
	case s.Flavor == MySQL && !s.in.replicaWords():
		how := "MASTER_AUTO_POSITION=1"
		if filePos {
			how = fmt.Sprintf("MASTER_LOG_FILE='%s', MASTER_LOG_POS=%d", at.file, at.pos)
		}
		if s.in.release.atLeast(8, 0) {
			how += ", GET_MASTER_PUBLIC_KEY=1"
		}
		q = []string{fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%s, MASTER_USER='%s', MASTER_PASSWORD='%s', %s, "+
			"MASTER_HEARTBEAT_PERIOD=1, MASTER_CONNECT_RETRY=1, MASTER_RETRY_COUNT=86400", host, port, ReplicationUser, ReplicationPassword, how), "START SLAVE"}
	case s.Flavor == MySQL:
		how := "SOURCE_AUTO_POSITION=1"
		if filePos {
			how = fmt.Sprintf("SOURCE_LOG_FILE='%s', SOURCE_LOG_POS=%d", at.file, at.pos)
		}
		q = []string{fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_HOST='%s', SOURCE_PORT=%s, SOURCE_USER='%s', SOURCE_PASSWORD='%s', %s, "+
			"SOURCE_HEARTBEAT_PERIOD=1, SOURCE_CONNECT_RETRY=1, SOURCE_RETRY_COUNT=86400, GET_SOURCE_PUBLIC_KEY=1", host, port, ReplicationUser, ReplicationPassword, how), "START REPLICA"}
	default:
		how := "MASTER_USE_GTID=slave_pos"
		if filePos {
			how = fmt.Sprintf("MASTER_LOG_FILE='%s', MASTER_LOG_POS=%d, MASTER_USE_GTID=no", at.file, at.pos)
		}
		q = []string{fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%s, MASTER_USER='%s', MASTER_PASSWORD='%s', %s, "+
			"MASTER_HEARTBEAT_PERIOD=1, MASTER_CONNECT_RETRY=1", host, port, ReplicationUser, ReplicationPassword, how), "START SLAVE"}
	}
	for _, query := range q {
		if _, err := s.db.ExecContext(ctx, query); err != nil {
			return fmt.Errorf("make server %d follow server %d: %w", s.ServerID, source.ServerID, err)
		}
	}
	return nil
}

// SetReadOnly sets the flag that keeps ordinary accounts from writing; on MySQL privileged ones too.
func (s *Server) SetReadOnly(ctx context.Context, on bool) error {
	q := "SET GLOBAL read_only=%d"
	if s.in.superReadOnly() {
		q = "SET GLOBAL super_read_only=%d"
		if !on {
			q = "SET GLOBAL super_read_only=%d, read_only=0"
		}
	}
	value := 0
	if on {
		value = 1
	}
	if _, err := s.db.ExecContext(ctx, fmt.Sprintf(q, value)); err != nil {
		return fmt.Errorf("set server %d read-only: %w", s.ServerID, err)
	}
	return nil
}

// awaitTimeout bounds the time until replication runs and nothing is missing anywhere.
const awaitTimeout = 30 * time.Second

// await returns when the replicas replicate and have what the primary has.
func (p *Pair) await(ctx context.Context, replicas []*Server) error {
	ctx, cancel := context.WithTimeout(ctx, awaitTimeout)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		err := p.replicates(ctx, replicas)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("replication does not get going: %w", err)
		}
	}
}

func (p *Pair) replicates(ctx context.Context, replicas []*Server) error {
	for _, s := range replicas {
		q, io, applier := "SHOW SLAVE STATUS", "Slave_IO_Running", "Slave_SQL_Running"
		if s.in.replicaWords() {
			q, io, applier = "SHOW REPLICA STATUS", "Replica_IO_Running", "Replica_SQL_Running"
		}
		row, err := s.Row(ctx, q)
		if err != nil {
			return err
		}
		if row[io] != "Yes" || row[applier] != "Yes" {
			return fmt.Errorf("server %d: receiver %s, applier %s: %s %s", s.ServerID, row[io], row[applier], row["Last_IO_Error"], row["Last_SQL_Error"])
		}
		if err := p.sameHistory(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// sameHistory compares s with the primary: by GTID, else by what the last account may do.
func (p *Pair) sameHistory(ctx context.Context, s *Server) error {
	q := "SELECT @@gtid_binlog_pos AS p"
	if s.Flavor == MySQL {
		q = "SELECT @@gtid_executed AS p"
	}
	if p.opts.FilePos {
		q = "SELECT CONCAT(COUNT(*)) AS p FROM information_schema.schema_privileges WHERE table_schema IN ('mysql', 'onewriter', 'performance_schema')"
	}
	want, err := p.Servers[0].Row(ctx, q)
	if err != nil {
		return err
	}
	got, err := s.Row(ctx, q)
	if err != nil {
		return err
	}
	if strings.TrimSpace(got["p"]) != strings.TrimSpace(want["p"]) {
		return fmt.Errorf("server %d is at %q, the primary at %q", s.ServerID, got["p"], want["p"])
	}
	return nil
}

// Close ends all servers.
func (p *Pair) Close() error {
	var errs []error
	for _, s := range p.Servers {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
