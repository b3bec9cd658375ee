package rewind

import (
	"context"
	"database/sql"

	"github.com/onewriter/onewriter/internal/binlog"
)

// KeysOf reads how the rows of all tables that the transactions have changed are identified on the server db: by the
// primary key, or another unique one without NULLs. mariadb tells the flavour.
func KeysOf(ctx context.Context, db *sql.DB, mariadb bool, lists ...[]binlog.Transaction) (Keys, error) {
	known := map[string][]int{}
	for _, list := range lists {
		for _, t := range list {
			for _, c := range t.Changes {
				name := c.Schema + "." + c.Table
				if _, ok := known[name]; ok {
					continue
				}
				d, _, err := define(ctx, db, mariadb, c.Schema, c.Table)
				if err != nil {
					return nil, err
				}
				known[name] = d.key
			}
		}
	}
	return func(schema, table string) []int { return known[schema+"."+table] }, nil
}
