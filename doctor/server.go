package doctor

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/topology"
)

// server is one server under examination. After open it is only read, but for its connection.
type server struct {
	instance topology.Instance
	err      error // why it cannot be asked

	db      *sql.DB
	q       *counter
	dialect flavor.Dialect
	facts   topology.Facts
	vars    map[string]string   // all global variables
	status  []map[string]string // its links, with all columns
	rights  rights              // of the control account
	drift   time.Duration       // its clock minus ours
	doubt   time.Duration       // how far off drift can be
}

func (s *server) name() string { return s.instance.Name }

func (s *server) mariadb() bool { return s.dialect.Kind() == flavor.KindMariaDB }

// open connects and reads what most checks need.
func (s *server) open(ctx context.Context, connect func(topology.Instance) (*sql.DB, error)) {
	if s.db, s.err = connect(s.instance); s.err != nil {
		return
	}
	s.db.SetMaxOpenConns(2)
	conn, err := s.db.Conn(ctx)
	if err != nil {
		s.err = fmt.Errorf("connect: %w", err)
		return
	}
	s.q = &counter{Conn: conn}
	s.err = s.read(ctx)
}

func (s *server) read(ctx context.Context) (err error) {
	if s.dialect, err = flavor.Detect(ctx, s.q); err != nil {
		return err
	}
	if err = s.prepare(ctx); err != nil {
		return fmt.Errorf("prepare the session: %w", err)
	}
	if err = s.readClock(ctx); err != nil {
		return fmt.Errorf("read the clock: %w", err)
	}
	if s.facts, err = s.dialect.Observe(ctx, s.q); err != nil {
		return err
	}
	if s.vars, err = flavor.Variables(ctx, s.q); err != nil {
		return fmt.Errorf("read the variables: %w", err)
	}
	if s.status, err = flavor.ReplicaStatus(ctx, s.q, s.dialect); err != nil {
		return fmt.Errorf("read the replication links: %w", err)
	}
	s.rights, err = readRights(ctx, s.q)
	return err
}

// prepare bounds what a statement may wait for: tables that somebody has locked must not hold an examination up.
func (s *server) prepare(ctx context.Context) error {
	limit := "max_execution_time = 5000"
	switch s.dialect.Kind() {
	case flavor.KindMariaDB:
		limit = "max_statement_time = 5"
	case flavor.KindMySQL56:
		limit = "wait_timeout = 60"
	case flavor.KindMySQL57, flavor.KindMySQL80, flavor.KindMySQL84, flavor.KindUnknown:
	}
	_, err := s.q.ExecContext(ctx, "SET SESSION lock_wait_timeout = 1, innodb_lock_wait_timeout = 1, "+limit)
	return err
}

// readClock compares the clocks around one statement.
func (s *server) readClock(ctx context.Context) error {
	var text string
	begun := time.Now()
	if err := s.q.QueryRowContext(ctx, "SELECT CAST(UTC_TIMESTAMP(6) AS CHAR)").Scan(&text); err != nil {
		return err
	}
	took := time.Since(begun)
	at, err := time.Parse("2006-01-02 15:04:05.999999", text)
	if err != nil {
		return err
	}
	s.drift, s.doubt = at.Sub(begun.Add(took/2)), took/2
	return nil
}

func (s *server) close() {
	if s.q != nil {
		_ = s.q.Close() // whatever became of the connection
	}
	if s.db != nil {
		_ = s.db.Close()
	}
}

func (s *server) statements() int {
	if s.q == nil {
		return 0
	}
	return int(s.q.n.Load())
}

// v gives the first of the named global variables that the server has; versions name them differently.
func (s *server) v(names ...string) string {
	for _, n := range names {
		if value, ok := s.vars[n]; ok {
			return value
		}
	}
	return ""
}

// variable gives the first of the names that the server has as a variable, for the SQL of a fix; the first when it has none.
func (s *server) variable(names ...string) string {
	for _, n := range names {
		if _, ok := s.vars[n]; ok {
			return n
		}
	}
	return names[0]
}

// rows asks the server.
func (s *server) rows(ctx context.Context, query string, args ...any) ([]map[string]string, error) {
	return flavor.Rows(ctx, s.q, query, args...)
}

// counter is a connection that counts its statements.
type counter struct {
	*sql.Conn
	n atomic.Int64
}

// QueryContext implements flavor.Querier.
func (c *counter) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	c.n.Add(1)
	return c.Conn.QueryContext(ctx, query, args...)
}

// QueryRowContext implements flavor.Querier.
func (c *counter) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	c.n.Add(1)
	return c.Conn.QueryRowContext(ctx, query, args...)
}

// ExecContext implements flavor.Querier.
func (c *counter) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	c.n.Add(1)
	return c.Conn.ExecContext(ctx, query, args...)
}

func (s *server) replicas(ctx context.Context) ([]map[string]string, error) {
	return flavor.Replicas(ctx, s.q, s.dialect)
}
