package main

import (
	"context"
	"database/sql"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/failover/watchdog"
	"github.com/onewriter/onewriter/topology"
)

// newWatchdog makes the renewer of the lease in the database; nil when it is switched off.
func newWatchdog(cc conf.Cluster, holder string, connect func(topology.Instance) (*sql.DB, error), registry *prometheus.Registry, log zerolog.Logger) (*watchdog.Renewer, error) {
	if !cc.Fencing.Watchdog {
		return nil, nil //nolint:nilnil // switched off
	}
	r, err := watchdog.NewRenewer(watchdog.Config{
		TTL: cc.Fencing.WatchdogTTL, Holder: holder, Connect: connect, Logger: log.With().Str("part", "watchdog").Logger(),
	})
	if err != nil {
		return nil, err
	}
	return r, registry.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "onewriter_watchdog_renewals_total", Help: "Renewals of the watchdog's lease on the primary.",
		ConstLabels: prometheus.Labels{"cluster": cc.Name},
	}, func() float64 { return float64(r.Renewals()) }))
}

// keepLease renews until ctx is done. That the lease could not be ended then is told, and no reason to fail: the server
// closes itself, which is what a watchdog is for.
func (cl *cluster) keepLease(ctx context.Context) {
	if err := cl.watchdog.Run(ctx); err != nil {
		cl.log.Warn().Err(err).Msg("the primary will close itself when its lease has run out")
	}
}
