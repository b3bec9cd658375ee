package main

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/go-sql-driver/mysql"
)

// rebuildLimit is how many milliseconds a session with some state may take to get another server connection.
const rebuildLimit = 3

// rebuiltVariables are what such a session has set.
var rebuiltVariables = []string{
	"sql_mode='ANSI_QUOTES'", "time_zone='+02:00'", "group_concat_max_len=2000", "sort_buffer_size=300000", "net_write_timeout=77",
	"lock_wait_timeout=33", "character_set_results='utf8mb4'", "max_join_size=1000000",
}

// rebuilds measures what a session waits that has lost its server connection while it was idle: 8 variables are set again,
// and 10 prepared statements prepared again when they are used.
func rebuilds(ctx context.Context, r *rig, t *table) error {
	n := 4 * r.o.rounds
	r.say("%d rebuilds of a session", n)
	connector, err := mysql.NewConnector(r.config(r.targets[onewriter]))
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for _, v := range rebuiltVariables {
		if _, err := conn.ExecContext(ctx, "SET SESSION "+v); err != nil {
			return fmt.Errorf("SET SESSION %s: %w", v, err)
		}
	}
	stmts := make([]*sql.Stmt, 10)
	for i := range stmts {
		if stmts[i], err = conn.PrepareContext(ctx, fmt.Sprintf("SELECT %d + ?", i)); err != nil {
			return err
		}
		defer func() { _ = stmts[i].Close() }()
	}
	usual := make([]time.Duration, 9)
	for i := range usual {
		if usual[i], err = executeAll(ctx, stmts); err != nil {
			return err
		}
	}
	slices.Sort(usual)
	for range n {
		var id int64
		if err := conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
			return err
		}
		if _, err := r.pair.Servers[0].DB().ExecContext(ctx, fmt.Sprintf("KILL %d", id)); err != nil {
			return err
		}
		if err := wait(ctx, 200*time.Millisecond); err != nil { // later than a session looks whether its connection lives
			return err
		}
		took, err := executeAll(ctx, stmts)
		if err != nil {
			return err
		}
		t.add("session with 8 variables and 10 prepared statements, connection killed", [targets]samples{onewriter: {
			{name: "ms more than usual", value: (took - usual[len(usual)/2]).Seconds() * 1e3, limit: rebuildLimit},
		}})
	}
	return nil
}

// executeAll executes each statement once.
func executeAll(ctx context.Context, stmts []*sql.Stmt) (time.Duration, error) {
	began := time.Now()
	for i, s := range stmts {
		var got int
		if err := s.QueryRowContext(ctx, 1000).Scan(&got); err != nil || got != i+1000 {
			return 0, fmt.Errorf("statement %d: %d, %w", i, got, err)
		}
	}
	return time.Since(began), nil
}
