package flavor

import (
	"context"
	"fmt"
	"strings"
)

// ReadAll reports whether an applier in this state (Slave_SQL_Running_State) says that it has read all of its relay
// log, in the words of any version. With parallel workers that does not mean that it has applied it; see AppliersIdle.
func ReadAll(state string) bool { return strings.Contains(state, "has read all relay log") }

// AppliersIdle reports whether no worker of any parallel applier on the server has a transaction in hand. It says
// nothing about transactions that were not handed to a worker yet.
func AppliersIdle(ctx context.Context, q Querier, d Dialect) (bool, error) {
	query := `SELECT COUNT(*) FROM information_schema.processlist WHERE command = 'Slave_worker'
AND state NOT LIKE 'Waiting for work from S%'`
	switch {
	case d.Kind() == KindMySQL56:
		return true, nil // its workers are not shown; one schema each, off by default
	case d.Kind() != KindMariaDB:
		query = "SELECT COUNT(*) FROM performance_schema.replication_applier_status_by_worker WHERE applying_transaction <> ''"
	}
	if d.Kind() == KindMySQL57 { // without that column
		query = `SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'system user'
AND state NOT LIKE 'Waiting for an event from Coordinator%' AND state NOT LIKE '%has read all relay log%'
AND state NOT LIKE 'Waiting for master%' AND state NOT LIKE '%connect%'`
	}
	var busy int
	if err := q.QueryRowContext(ctx, query).Scan(&busy); err != nil {
		return false, fmt.Errorf("look at the workers of the applier: %w", err)
	}
	return busy == 0, nil
}
