package binlog

import (
	"context"
	"database/sql"
	"errors"

	"github.com/onewriter/onewriter/internal/gtid"
)

// errPending keeps a server that came back away until reading is built.
var errPending = errors.New("reading binary logs is not built yet")

// Querier is how the server itself is asked.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Read is not built yet.
func Read(context.Context, Source, gtid.Position, gtid.Position, func(Transaction) error) error {
	return errPending
}

// Errant is not built yet.
func Errant(context.Context, Source, Querier, gtid.Position) ([]Transaction, error) {
	return nil, errPending
}
