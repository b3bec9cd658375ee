package failover

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/topology"
)

// pairs are the servers that tests share.
var pairs mysqltest.Shared

func TestMain(m *testing.M) { os.Exit(pairs.Close(m.Run())) }

// startPair starts servers; they are real ones, or the test is skipped (and fails in CI).
func startPair(t *testing.T, o mysqltest.PairOptions) *mysqltest.Pair {
	t.Helper()
	mysqltest.RequireFlavor(t, o.Flavor)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	o.Fast = true // nothing here crashes a server
	p, err := mysqltest.StartPair(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// onPairs runs a test on a circular pair of each flavour with GTID. The pair is the same for all tests; each leaves
// it with one writable server.
func onPairs(t *testing.T, test func(t *testing.T, c *cluster)) {
	t.Helper()
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		t.Run(f.String(), func(t *testing.T) {
			p, _ := pairs.Pair(t, f.String(), mysqltest.PairOptions{Flavor: f})
			test(t, clusterOf(t, p))
		})
	}
}

// clusterOf makes a cluster of running servers, called a, b, c...
func clusterOf(t *testing.T, p *mysqltest.Pair) *cluster {
	t.Helper()
	var servers []topology.Instance
	for i, s := range p.Servers {
		servers = append(servers, topology.Instance{Name: string(rune('a' + i)), Address: s.Addr()})
	}
	return newCluster(t, servers)
}
