package main

import (
	"context"

	"github.com/onewriter/onewriter/failover"
	"github.com/onewriter/onewriter/failover/watchdog"
	"github.com/onewriter/onewriter/proxy"
	"github.com/onewriter/onewriter/topology"
)

// dataPath lets the controller steer the proxy, and the watchdog with it; the packages do not know each other's types.
type dataPath struct {
	*proxy.Cluster
	watchdog *watchdog.Renewer // nil when there is none
}

// Publish implements failover.DataPath. The lease is renewed on the published primary only.
func (d dataPath) Publish(p topology.Primary) {
	d.Cluster.Publish(p)
	if d.watchdog != nil {
		d.watchdog.SetPrimary(p)
	}
}

// Resume implements failover.DataPath. After a switchover that was undone the lease of the old primary is taken again.
func (d dataPath) Resume() failover.MoveReport {
	report := d.Cluster.Resume()
	if d.watchdog != nil {
		d.watchdog.SetPrimary(d.Primary())
	}
	return failover.MoveReport(report)
}

// disarm is for a planned switchover; see failover.Config.
func (d dataPath) disarm(ctx context.Context) error {
	err := d.watchdog.Disarm(ctx)
	d.watchdog.SetPrimary(topology.Primary{})
	return err
}
