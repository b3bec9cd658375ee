package guard

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"sync/atomic"

	"github.com/go-sql-driver/mysql"
)

// full is what the driver's connections can do.
type full interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// conn is a connection on which a fault of the driver is an error. Nothing of it is used after that, nor after an answer
// that the driver could not read to its end, of which it would take the rest for the next answer: the network connection is
// closed and the pool is told that it is not valid. The error is not driver.ErrBadConn, because the pool would repeat the
// statement then.
type conn struct {
	full
	link   *link
	broken atomic.Bool
}

// catch is to be deferred by whatever lets the driver read.
func (c *conn) catch(err *error) {
	if fault := recover(); fault != nil {
		*err = &FaultError{fault}
	}
	if ordinary(*err) || gaveUp(*err) && c.full.IsValid() {
		return
	}
	*err = c.link.explain(*err)
	c.broken.Store(true)
	_ = c.link.Close()
}

// ordinary reports whether a connection can be used after err: there is none, or the server's own, or the driver has not
// begun.
func ordinary(err error) bool {
	return err == nil || err == io.EOF || errors.Is(err, driver.ErrSkip) || errors.As(err, new(*mysql.MySQLError)) //nolint:errorlint // as the pool compares
}

// gaveUp reports whether err is the end of a context. The driver closes a connection that was in use then, and leaves alone one
// on which it had not begun.
func gaveUp(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// IsValid implements driver.Validator.
func (c *conn) IsValid() bool { return !c.broken.Load() && c.link.silent() && c.full.IsValid() }

// Close implements driver.Conn.
func (c *conn) Close() (err error) {
	defer c.catch(&err)
	return c.full.Close()
}

// ResetSession implements driver.SessionResetter.
func (c *conn) ResetSession(ctx context.Context) (err error) {
	defer c.catch(&err)
	return c.full.ResetSession(ctx)
}

// Ping implements driver.Pinger.
func (c *conn) Ping(ctx context.Context) (err error) {
	defer c.catch(&err)
	return c.full.Ping(ctx)
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (result driver.Result, err error) {
	defer c.catch(&err)
	return c.full.ExecContext(ctx, query, args)
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (_ driver.Rows, err error) {
	defer c.catch(&err)
	r, err := c.full.QueryContext(ctx, query, args)
	if err != nil {
		return nil, err
	}
	return &rows{r, c}, nil
}

// BeginTx implements driver.ConnBeginTx.
func (c *conn) BeginTx(ctx context.Context, o driver.TxOptions) (_ driver.Tx, err error) {
	defer c.catch(&err)
	t, err := c.full.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	return &tx{t, c}, nil
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *conn) PrepareContext(ctx context.Context, query string) (_ driver.Stmt, err error) {
	defer c.catch(&err)
	s, err := c.full.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &stmt{s.(fullStmt), c}, nil
}

// rows is one result set: those that follow it, of procedures, are read and dropped by Close. The types of columns are not
// told.
type rows struct {
	driver.Rows
	conn *conn
}

// Next implements driver.Rows.
func (r *rows) Next(dest []driver.Value) (err error) {
	defer r.conn.catch(&err)
	return r.Rows.Next(dest)
}

// Close implements driver.Rows.
func (r *rows) Close() (err error) {
	if r.conn.broken.Load() {
		return nil
	}
	defer r.conn.catch(&err)
	return r.Rows.Close()
}

type tx struct {
	driver.Tx
	conn *conn
}

// Commit implements driver.Tx.
func (t *tx) Commit() (err error) {
	defer t.conn.catch(&err)
	return t.Tx.Commit()
}

// Rollback implements driver.Tx.
func (t *tx) Rollback() (err error) {
	defer t.conn.catch(&err)
	return t.Tx.Rollback()
}

// fullStmt is what the driver's statements can do.
type fullStmt interface {
	driver.Stmt
	driver.NamedValueChecker
	driver.StmtExecContext
	driver.StmtQueryContext
}

type stmt struct {
	fullStmt
	conn *conn
}

// Close implements driver.Stmt.
func (s *stmt) Close() (err error) {
	defer s.conn.catch(&err)
	return s.fullStmt.Close()
}

// ExecContext implements driver.StmtExecContext.
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (result driver.Result, err error) {
	defer s.conn.catch(&err)
	return s.fullStmt.ExecContext(ctx, args)
}

// QueryContext implements driver.StmtQueryContext.
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (_ driver.Rows, err error) {
	defer s.conn.catch(&err)
	r, err := s.fullStmt.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	return &rows{r, s.conn}, nil
}
