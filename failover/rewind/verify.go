package rewind

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/internal/pause"
)

// Comparison is the outcome of comparing tables of two servers.
type Comparison struct {
	Equal     []string // schema.table
	Different []string
	// Unsettled are tables that were written so often that no moment was found at which both servers stood still.
	Unsettled []string
}

const (
	verifyTries = 20
	lookEvery   = 50 * time.Millisecond
)

// Verify compares the checksums of the tables (schema.table) on the server a with those on b, which a follows and has
// caught up with. Clients may write to b meanwhile: checksums count when both servers stood at the same position before
// and after. A file position is compared by what the link of a says that it has applied of b's binary log.
func Verify(ctx context.Context, a, b Target, tables []string) (Comparison, error) {
	var c Comparison
	for _, table := range tables {
		list := &c.Unsettled
		for range verifyTries {
			equal, settled, err := compare(ctx, a, b, table)
			if err != nil {
				return c, fmt.Errorf("compare %s of %s and %s: %w", table, a.Name, b.Name, err)
			}
			if equal || settled {
				list = map[bool]*[]string{true: &c.Equal, false: &c.Different}[equal]
				break
			}
			if err := pause.For(ctx, lookEvery); err != nil {
				return c, err
			}
		}
		*list = append(*list, table)
	}
	return c, nil
}

// compare takes one look.
func compare(ctx context.Context, a, b Target, table string) (equal, settled bool, err error) {
	before, err := positions(ctx, a, b)
	if err != nil {
		return false, false, err
	}
	one, err := checksum(ctx, a, table)
	if err != nil {
		return false, false, err
	}
	other, err := checksum(ctx, b, table)
	if err != nil {
		return false, false, err
	}
	if one == other {
		return true, true, nil
	}
	after, err := positions(ctx, a, b)
	stood := before[0].Equal(after[0]) && before[1].Equal(after[1])
	return false, err == nil && stood && before[0].Equal(before[1]), err
}

// positions are where a is and where b is, in the same notation.
func positions(ctx context.Context, a, b Target) (p [2]gtid.Position, err error) {
	for i, t := range []Target{a, b} {
		if p[i], err = t.Dialect.Position(ctx, t.DB); err != nil {
			return p, err
		}
	}
	if p[1].Kind() != gtid.KindFile {
		return p, nil
	}
	facts, err := a.Dialect.Observe(ctx, a.DB)
	if err != nil {
		return p, err
	}
	if p[0] = (gtid.Position{}); len(facts.Links) == 1 {
		p[0] = facts.Links[0].AppliedFile
	}
	return p, nil
}

// checksum reads the whole table. A server does not notice that its client has given up, so it is told.
func checksum(ctx context.Context, t Target, table string) (text string, err error) {
	schema, name, ok := strings.Cut(table, ".")
	if !ok {
		return "", errors.New("no schema.table")
	}
	conn, err := t.DB.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }() // what counts has been read
	var id uint64
	if err := conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		return "", err
	}
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = errors.Join(err, endScan(ctx, t, id))
		}
	}()
	var same string
	var sum sql.NullInt64
	if err := conn.QueryRowContext(ctx, "CHECKSUM TABLE "+quoteName(schema)+"."+quoteName(name)).Scan(&same, &sum); err != nil {
		return "", err
	}
	if !sum.Valid {
		return "", errors.New("there is no checksum")
	}
	return fmt.Sprint(sum.Int64), nil
}

// endScan ends the connection whose statement nobody waits for any more.
func endScan(ctx context.Context, t Target, id uint64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := t.Dialect.Kill(ctx, t.DB, id)
	var gone *mysql.MySQLError
	if errors.As(err, &gone) && gone.Number == 1094 { // ER_NO_SUCH_THREAD
		return nil
	}
	return err
}
