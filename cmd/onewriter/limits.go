package main

import (
	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/proxy"
)

// proxyLimits is what the data path is told of the limits.
func proxyLimits(cc conf.Cluster) proxy.Limits {
	l := proxy.Limits{
		Logins: cc.Limits.MaxLogins, PendingLogins: cc.Limits.MaxPendingLogins,
		Queue: cc.Limits.QueueLength, QueueTimeout: cc.Limits.QueueTimeout, ServerConnections: map[string]int{},
	}
	for _, s := range cc.Servers {
		l.ServerConnections[s.Name] = s.MaxConnections
	}
	return l
}
