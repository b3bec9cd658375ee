package flavor

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
)

// SameServer reports whether two connections lead to one and the same server, whatever it says of itself: a named lock that is
// taken on a is seen on b. Both must stay on one connection of the server. Nothing is left behind.
func SameServer(ctx context.Context, a, b Querier) (same bool, err error) {
	lock := "onewriter_" + rand.Text()
	var got sql.NullInt64
	var id int64
	if err := a.QueryRowContext(ctx, fmt.Sprintf("SELECT GET_LOCK('%s', 0), CONNECTION_ID()", lock)).Scan(&got, &id); err != nil {
		return false, fmt.Errorf("take a named lock: %w", err)
	}
	if got.Int64 != 1 {
		return false, fmt.Errorf("the named lock %s was not granted", lock)
	}
	var holder sql.NullInt64
	if err := b.QueryRowContext(ctx, fmt.Sprintf("SELECT IS_USED_LOCK('%s')", lock)).Scan(&holder); err != nil {
		return false, fmt.Errorf("look for a named lock: %w", errors.Join(err, unlock(ctx, a, lock)))
	}
	return holder.Valid && holder.Int64 == id, unlock(ctx, a, lock)
}

// unlock gives the lock back; the end of the connection would, too.
func unlock(ctx context.Context, q Querier, lock string) error {
	var got sql.NullInt64
	if err := q.QueryRowContext(ctx, fmt.Sprintf("SELECT RELEASE_LOCK('%s')", lock)).Scan(&got); err != nil {
		return fmt.Errorf("release a named lock: %w", err)
	}
	return nil
}
