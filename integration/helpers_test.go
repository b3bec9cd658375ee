package integration

import (
	"database/sql"
	"errors"
	"testing"

	"github.com/go-sql-driver/mysql"
)

func mustExec(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// wantCode checks that err is the server error with the number code.
func wantCode(t *testing.T, err error, code uint16) {
	t.Helper()
	me := (*mysql.MySQLError)(nil)
	if !errors.As(err, &me) || me.Number != code {
		t.Errorf("error is %v, want number %d", err, code)
	}
}
