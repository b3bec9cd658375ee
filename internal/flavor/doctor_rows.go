package flavor

import (
	"context"
	"strings"
)

// Rows runs query and reads all rows by column name: lower case, with the old words master and slave for source and
// replica, so that one reader fits all versions. NULL is "".
func Rows(ctx context.Context, q Querier, query string, args ...any) ([]map[string]string, error) {
	rs, err := records(ctx, q, query, args...)
	if err != nil {
		return nil, err
	}
	out := make([]map[string]string, len(rs))
	for i, r := range rs {
		out[i] = make(map[string]string, len(r))
		for k, v := range r {
			out[i][strings.Replace(k, "slavete", "replicate", 1)] = v.String // the old word for replica got into it
		}
	}
	return out, nil
}

// Variables gives all global variables of the server by their lower-case names.
func Variables(ctx context.Context, q Querier) (map[string]string, error) {
	return variables(ctx, q, "1=1")
}

// ReplicaStatus is the answer of SHOW ALL SLAVES STATUS or SHOW REPLICA STATUS, with the columns that Observe leaves out.
func ReplicaStatus(ctx context.Context, q Querier, d Dialect) ([]map[string]string, error) {
	if m, ok := d.(*mysql); ok {
		return Rows(ctx, q, m.words.showReplica)
	}
	return Rows(ctx, q, "SHOW ALL SLAVES STATUS")
}

// BinlogStatus is the answer of SHOW MASTER STATUS or SHOW BINARY LOG STATUS; empty when there is no binary log.
func BinlogStatus(ctx context.Context, q Querier, d Dialect) ([]map[string]string, error) {
	if m, ok := d.(*mysql); ok {
		return Rows(ctx, q, m.words.showBinlog)
	}
	return Rows(ctx, q, "SHOW MASTER STATUS")
}

// Replicas lists the replicas that are registered with the server, from SHOW SLAVE HOSTS or SHOW REPLICAS.
func Replicas(ctx context.Context, q Querier, d Dialect) ([]map[string]string, error) {
	if m, ok := d.(*mysql); ok && m.words.showReplica == newMySQLWords().showReplica {
		return Rows(ctx, q, "SHOW REPLICAS")
	}
	return Rows(ctx, q, "SHOW SLAVE HOSTS")
}
