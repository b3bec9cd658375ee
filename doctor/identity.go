package doctor

import (
	"context"
	"fmt"
	"slices"
)

// serverIDs looks for servers that cannot tell their own transactions from another's.
func serverIDs(_ context.Context, x *examination) error {
	servers := x.examined()
	for i, s := range servers {
		if s.facts.ServerID == 0 {
			x.find("SERVER_ID_DUPLICATE", s.name(), "Its server_id is 0, so it cannot replicate.", nil,
				"SET GLOBAL server_id = <a number that no other server has>", "my.cnf: server_id = <the same number>")
			continue
		}
		for _, other := range servers[:i] {
			if other.facts.ServerID == s.facts.ServerID {
				x.find("SERVER_ID_DUPLICATE", s.name(), fmt.Sprintf(
					"It has the same server_id as %s. A server skips transactions that carry its own id, so each of the two would silently lack what the other wrote.", other.name()),
					[]string{fmt.Sprintf("server_id is %d on %s and on %s", s.facts.ServerID, other.name(), s.name())},
					"SET GLOBAL server_id = <a number that no other server has>", "my.cnf: server_id = <the same number>")
			}
		}
	}
	return nil
}

func serverUUIDs(_ context.Context, x *examination) error {
	servers := x.examined()
	for i, s := range servers {
		for _, other := range servers[:i] {
			if s.facts.ServerUUID != "" && s.facts.ServerUUID == other.facts.ServerUUID {
				x.find("SERVER_UUID_DUPLICATE", s.name(), fmt.Sprintf(
					"It has the same server_uuid as %s: its data directory was copied with auto.cnf. They cannot replicate from each other, and GTIDs of one pass for those of the other.", other.name()),
					[]string{fmt.Sprintf("server_uuid is %s on %s and on %s", s.facts.ServerUUID, other.name(), s.name())},
					"stop the server, remove auto.cnf from its data directory, start it")
			}
		}
	}
	return nil
}

// strangers looks for replicas that are none of the cluster's servers.
func strangers(ctx context.Context, x *examination, s *server) error {
	replicas, err := s.replicas(ctx)
	if err != nil {
		return fmt.Errorf("list the replicas: %w", err)
	}
	var evidence []string
	for _, r := range replicas {
		if !slices.ContainsFunc(x.examined(), func(o *server) bool { return fmt.Sprint(o.facts.ServerID) == r["server_id"] }) {
			evidence = append(evidence, fmt.Sprintf("server_id %s at %s:%s reads the binary log of %s", r["server_id"], r["host"], r["port"], s.name()))
		}
	}
	if len(evidence) > 0 && len(x.examined()) == len(x.servers) {
		x.find("UNKNOWN_REPLICA", s.name(), "A replica reads from it that is not one of the cluster's servers. It will not be repointed when the primary changes, and its server_id must not be used again.",
			evidence)
	}
	return nil
}
