package flavor

import (
	"context"
	"fmt"
)

// SemiSyncClients counts the replicas of this server that would acknowledge, whether its source side is switched on or
// not. A replica whose receiver connected before the server had semi-sync is not among them.
func SemiSyncClients(ctx context.Context, q Querier) (int, error) {
	status, err := records(ctx, q, "SHOW GLOBAL STATUS WHERE "+semiSyncLike)
	if err != nil {
		return 0, fmt.Errorf("read the semi-sync status: %w", err)
	}
	for _, r := range status {
		if semiSyncKey(r.str("variable_name")) == "master_clients" {
			return int(r.uint("value")), nil
		}
	}
	return 0, nil
}
