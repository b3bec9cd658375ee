package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/admin"
	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/failover"
)

// newEndpoint makes the admin endpoint and opens its port; nil when it is switched off.
func newEndpoint(ctx context.Context, c *conf.Config, clusters []*cluster, journal *failover.Journal, registry *prometheus.Registry, log zerolog.Logger) (*admin.Server, error) {
	if c.Admin.Address == "" {
		return nil, nil //nolint:nilnil // switched off
	}
	list := make([]admin.Cluster, 0, len(clusters))
	for _, cl := range clusters {
		list = append(list, &adminCluster{
			name: cl.config.Name, mode: cl.config.Failover.Mode, servers: instances(cl.config), monitor: cl.monitor,
			controller: cl.control, doctor: cl.doctor, accounts: cl.accounts, proxy: cl.data, killThread: cl.killThread,
		})
	}
	s, err := admin.New(admin.Config{
		Address: c.Admin.Address, Token: c.Admin.Token.Reveal(), Clusters: list, Journal: adminJournal{journal},
		Registry: registry, Version: versionLine(), Pprof: c.Admin.Pprof, Logger: log.With().Str("part", "admin").Logger(),
	})
	if err != nil {
		return nil, err
	}
	return s, s.Listen(ctx)
}

func versionLine() string {
	v, _ := buildVersion()
	return v
}
