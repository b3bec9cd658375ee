package doctor

import (
	"context"
	"fmt"
	"slices"

	"github.com/onewriter/onewriter/internal/flavor"
)

// serverIDs looks for servers that cannot tell their own transactions from another's.
func serverIDs(ctx context.Context, x *examination) error {
	servers := x.examined()
	for i, s := range servers {
		if s.facts.ServerID == 0 {
			x.find("SERVER_ID_DUPLICATE", s.name(), "Its server_id is 0, so it cannot replicate.", nil,
				"SET GLOBAL server_id = <a number that no other server has>", "my.cnf: server_id = <the same number>")
			continue
		}
		for _, other := range servers[:i] {
			if same, err := oneServer(ctx, s, other); err != nil {
				return err
			} else if other.facts.ServerID == s.facts.ServerID && !same {
				x.find("SERVER_ID_DUPLICATE", s.name(), fmt.Sprintf(
					"It has the same server_id as %s. A server skips transactions that carry its own id, so each of the two would silently lack what the other wrote.", other.name()),
					[]string{fmt.Sprintf("server_id is %d on %s and on %s", s.facts.ServerID, other.name(), s.name())},
					"SET GLOBAL server_id = <a number that no other server has>", "my.cnf: server_id = <the same number>")
			}
		}
	}
	return nil
}

func serverUUIDs(ctx context.Context, x *examination) error {
	servers := x.examined()
	for i, s := range servers {
		for _, other := range servers[:i] {
			if s.facts.ServerUUID == "" || s.facts.ServerUUID != other.facts.ServerUUID {
				continue
			}
			if same, err := oneServer(ctx, s, other); err != nil {
				return err
			} else if !same { // otherwise that is the finding

				x.find("SERVER_UUID_DUPLICATE", s.name(), fmt.Sprintf(
					"It has the same server_uuid as %s: its data directory was copied with auto.cnf. They cannot replicate from each other, and GTIDs of one pass for those of the other.", other.name()),
					[]string{fmt.Sprintf("server_uuid is %s on %s and on %s", s.facts.ServerUUID, other.name(), s.name())},
					"stop the server, remove auto.cnf from its data directory, start it")
			}
		}
	}
	return nil
}

// sameServers looks for names that lead to one and the same server.
func sameServers(ctx context.Context, x *examination) error {
	servers := x.examined()
	for i, s := range servers {
		for _, other := range servers[:i] {
			same, err := oneServer(ctx, s, other)
			if err != nil {
				return err
			}
			if same {
				x.find("SAME_SERVER", s.name(), fmt.Sprintf(
					"Its address leads to the same server as that of %s. Nothing can be moved to it, and of what was configured one server is not watched at all.", other.name()),
					[]string{fmt.Sprintf("a named lock that is taken at %s is seen at %s", s.instance.Address, other.instance.Address)},
					"correct the address, name or virtual IP address of the one that is wrong")
			}
		}
	}
	return nil
}

// oneServer reports whether two names lead to one server. Only those that say the same of themselves are asked.
func oneServer(ctx context.Context, a, b *server) (bool, error) {
	if a.facts.ServerID != b.facts.ServerID || a.facts.ServerUUID != b.facts.ServerUUID {
		return false, nil
	}
	same, err := flavor.SameServer(ctx, a.q, b.q)
	if err != nil {
		return false, fmt.Errorf("find out whether %s and %s are the same server: %w", a.name(), b.name(), err)
	}
	return same, nil
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
