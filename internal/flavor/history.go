package flavor

import (
	"context"
	"fmt"
)

// AdoptOwnHistory prepares a server that has been a source so far for following another one by GTID: MariaDB goes on
// from gtid_slave_pos, which knows nothing of what the server has written itself. All its links must be stopped.
// MySQL needs nothing of the kind.
func AdoptOwnHistory(ctx context.Context, q Querier, d Dialect) error {
	if d.Kind() != KindMariaDB {
		return nil
	}
	if err := exec(ctx, q, "SET GLOBAL gtid_slave_pos = @@global.gtid_binlog_pos"); err != nil {
		return fmt.Errorf("set gtid_slave_pos: %w", err)
	}
	return nil
}
