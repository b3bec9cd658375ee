package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/go-sql-driver/mysql"
)

// errNoSuchThread is the servers' code for a KILL of a connection that they do not have.
const errNoSuchThread = 1094

// threadAlive implements proxy.Config.ThreadAlive with the control account, which sees all connections.
func (cl *cluster) threadAlive(ctx context.Context, server string, id uint32) (bool, error) {
	db, err := cl.pool(server)
	if err != nil {
		return false, err
	}
	var n int
	err = db.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = %d", id)).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("read the process list of %s: %w", server, err)
	}
	return n > 0, nil
}

// killThread ends a connection of a server with the control account. One that is gone already is no error.
func (cl *cluster) killThread(ctx context.Context, server string, id uint32) error {
	db, err := cl.pool(server)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, fmt.Sprintf("KILL CONNECTION %d", id))
	if me := (*mysql.MySQLError)(nil); errors.As(err, &me) && me.Number == errNoSuchThread {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kill connection %d of %s: %w", id, server, err)
	}
	return nil
}

func (cl *cluster) pool(server string) (*sql.DB, error) {
	if db, ok := cl.pools[server]; ok {
		return db, nil
	}
	return nil, fmt.Errorf("there is no server called %s", server)
}
