package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// finish waits until all servers are equal and reads all of them. What is not equal in time is for the checker.
func (r *rig) finish() {
	r.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	var final []Contents
	for {
		final = final[:0]
		var err error
		for i := range r.pair.Servers {
			var c Contents
			if c, err = r.contents(i); err != nil {
				break
			}
			final = append(final, c)
		}
		if err == nil && equal(final) || time.Now().After(deadline) {
			if err != nil {
				r.t.Errorf("reading the servers at the end: %v", err)
			}
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	state := "unknown"
	if st, err := r.prog.status(r.t.Context()); err == nil {
		state = st.State
		final = slices.DeleteFunc(final, func(c Contents) bool { // I10 tells of those
			return slices.ContainsFunc(st.Servers, func(s api.Server) bool { return s.Name == c.Server && !s.Healthy }) ||
				slices.ContainsFunc(st.Away, func(a api.AwayServer) bool { return a.Server == c.Server })
		})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history.Final, r.history.FinalRun = final, state
}

func equal(list []Contents) bool {
	for _, c := range list {
		c.Server, c.ReadOnly, c.Super = list[0].Server, list[0].ReadOnly, list[0].Super
		if !reflect.DeepEqual(c, list[0]) {
			return false
		}
	}
	return true
}

// contents reads one server.
func (r *rig) contents(server int) (Contents, error) {
	c := Contents{
		Server: serverName(server), Rows: map[int64]Row{}, Transfers: map[int64]Move{}, Accounts: map[int]int64{},
		Sequence: map[int64]int64{}, Counters: map[int]int64{}, Checksums: map[string]string{},
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	db := r.pair.Servers[server].DB()
	for _, read := range []struct {
		query string
		scan  func(*sql.Rows) error
	}{
		{"SELECT id, client, server FROM app.writes", func(rows *sql.Rows) error {
			var id int64
			var row Row
			err := rows.Scan(&id, &row.Client, &row.Server)
			c.Rows[id] = row
			return err
		}},
		{"SELECT id, client, server, src, dst, amount FROM app.transfers", func(rows *sql.Rows) error {
			var id int64
			var m Move
			err := rows.Scan(&id, &m.Client, &m.Server, &m.From, &m.To, &m.Amount)
			c.Transfers[id] = m
			return err
		}},
		{"SELECT id, balance FROM app.accounts", func(rows *sql.Rows) error { return intoMap(rows, c.Accounts) }},
		{"SELECT n, id FROM app.sequence", func(rows *sql.Rows) error { return intoMap(rows, c.Sequence) }},
		{"SELECT client, value FROM app.counters", func(rows *sql.Rows) error { return intoMap(rows, c.Counters) }},
		{"CHECKSUM TABLE app.writes, app.transfers, app.accounts, app.sequence, app.counters", func(rows *sql.Rows) error { return intoMap(rows, c.Checksums) }},
		{"SELECT @@global.read_only, " + r.superFlag(), func(rows *sql.Rows) error { return rows.Scan(&c.ReadOnly, &c.Super) }},
	} {
		if err := each(ctx, db, read.query, read.scan); err != nil {
			return c, fmt.Errorf("%s on %s: %w", read.query, c.Server, err)
		}
	}
	if !r.setup.opts.FilePos {
		err := db.QueryRowContext(ctx, r.positionSQL()).Scan(&c.Position)
		c.Position = strings.ReplaceAll(c.Position, "\n", "")
		return c, err
	}
	return c, nil
}

func (r *rig) superFlag() string {
	if r.setup.opts.Flavor == mysqltest.MySQL {
		return "@@global.super_read_only"
	}
	return "@@global.read_only"
}

// positionSQL asks for all that a server has. MariaDB's state has one entry for each server that wrote.
func (r *rig) positionSQL() string {
	if r.setup.opts.Flavor == mysqltest.MySQL {
		return "SELECT @@global.gtid_executed"
	}
	return "SELECT @@global.gtid_binlog_pos"
}

func each(ctx context.Context, db *sql.DB, query string, scan func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func intoMap[K comparable, V any](rows *sql.Rows, m map[K]V) error {
	var k K
	var v V
	err := rows.Scan(&k, &v)
	m[k] = v
	return err
}

// settledCensus is the census once connections that were made ahead, and not used, are gone; they live for some seconds.
func (r *rig) settledCensus(before Census) Census {
	r.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		c := r.census()
		if len(checkCensus(&History{Before: before, After: c})) == 0 || time.Now().After(deadline) {
			return c
		}
	}
}

// census counts the goroutines of the program and the connections of each server.
func (r *rig) census() Census {
	c := Census{Goroutines: r.prog.goroutines(r.t.Context()), Connections: map[string]int{}}
	for i, s := range r.pair.Servers {
		row, err := s.Row(r.t.Context(), "SELECT COUNT(*) AS n FROM information_schema.processlist")
		if err != nil {
			r.t.Errorf("count the connections of %s: %v", serverName(i), err)
			continue
		}
		n := 0
		_, _ = fmt.Sscan(row["n"], &n)
		c.Connections[serverName(i)] = n
	}
	return c
}
