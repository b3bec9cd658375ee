package flavor

import (
	"context"
	"fmt"
)

// SemiSyncClients counts the replicas of this server that would acknowledge, whether its source side is switched on or
// not. A replica whose receiver connected before the server had semi-sync is not among them.
func SemiSyncClients(ctx context.Context, q Querier) (int, error) {
	return semiSyncCount(ctx, q, "master_clients")
}

// semiSyncCount reads a number of the semi-sync status by its semiSyncKey; 0 when the server does not have it.
func semiSyncCount(ctx context.Context, q Querier, key string) (int, error) {
	status, err := records(ctx, q, "SHOW GLOBAL STATUS WHERE "+semiSyncLike)
	if err != nil {
		return 0, fmt.Errorf("read the semi-sync status: %w", err)
	}
	for _, r := range status {
		if semiSyncKey(r.str("variable_name")) == key {
			return int(r.uint("value")), nil
		}
	}
	return 0, nil
}
