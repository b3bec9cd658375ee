package failover

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/onewriter/onewriter/topology"
)

// A link from a server that is none of the cluster's is found, one from another server of it is not taken for such.
func TestOutsideSource(t *testing.T) { onPairs(t, testOutsideSource) }

func testOutsideSource(t *testing.T, c *cluster) {
	primary := c.writableNow()
	standby := c.other(primary)
	for _, alone := range []bool{false, true} {
		cfg := Config{Limits: DefaultLimits(), ControlUser: c.user, Connect: func(i topology.Instance) (*sql.DB, error) {
			return openDB(t, c.user, c.password, i.Address, ""), nil
		}}
		for _, i := range c.servers {
			if !alone || i.Name == standby {
				cfg.Servers = append(cfg.Servers, i)
			}
		}
		servers, err := openServers(cfg)
		if err != nil {
			t.Fatal(err)
		}
		e := &executor{cfg: cfg, servers: servers}
		old, err := e.returner(context.Background(), standby)
		if err != nil {
			t.Fatal(err)
		}
		why, err := e.outsideSource(context.Background(), old)
		if err != nil || alone != strings.Contains(why, "none of the cluster's servers") || !alone && why != "" {
			t.Errorf("alone %t: %q, %v", alone, why, err)
		}
		if err := closeServers(servers); err != nil {
			t.Error(err)
		}
	}
}
