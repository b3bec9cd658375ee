package main

import (
	"os"
	"runtime/debug"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/internal/sockopt"
	"github.com/onewriter/onewriter/proxy"
)

// proxyLimits is what the data path is told of the limits.
func proxyLimits(cc conf.Cluster) proxy.Limits {
	l := proxy.Limits{
		Logins: cc.Limits.MaxLogins, PendingLogins: cc.Limits.MaxPendingLogins,
		Queue: cc.Limits.QueueLength, QueueTimeout: cc.Limits.QueueTimeout,
		StallTimeout: cc.Limits.StallTimeout, IdleTimeout: cc.Limits.IdleTimeout, ServerConnections: map[string]int{},
	}
	for _, s := range cc.Servers {
		l.ServerConnections[s.Name] = s.MaxConnections
	}
	return l
}

func clientTCP(l conf.Limits) sockopt.Options {
	return sockopt.Options{KeepAlive: l.ClientKeepalive, UserTimeout: l.ClientUserTimeout}
}

func serverTCP(l conf.Limits) sockopt.Options {
	return sockopt.Options{KeepAlive: l.ServerKeepalive, UserTimeout: l.ServerUserTimeout}
}

// connectionCost is how many file descriptors a client takes: its own connection and that to a server.
const connectionCost = 2

// ownDescriptors is room for everything else: state files, probes, control connections, the admin endpoint.
const ownDescriptors = 200

// checkDescriptors raises the limit of open files as far as it can be, and says so if that is not enough for all the
// clients that the listeners may have. (The Go runtime has raised it already; this is for the figure.)
func checkDescriptors(c *conf.Config, log zerolog.Logger) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		log.Warn().Err(err).Msg("limit of open files is not known")
		return
	}
	if limit.Cur < limit.Max {
		raised := unix.Rlimit{Cur: limit.Max, Max: limit.Max}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
		}
	}
	if need := descriptorsNeeded(c); need > uint64(limit.Cur) {
		log.Warn().Uint64("limit", uint64(limit.Cur)).Uint64("needed", need).
			Msg("limit of open files is too low for max_connections of all listeners; raise it (LimitNOFILE, ulimit -n) or lower those")
	}
}

// descriptorsNeeded is how many descriptors the process has open when every listener is full.
func descriptorsNeeded(c *conf.Config) uint64 {
	n := uint64(ownDescriptors)
	for _, cc := range c.Clusters {
		for _, l := range cc.Listeners {
			n += connectionCost * uint64(l.MaxConnections)
		}
	}
	return n
}

// collectOften makes the garbage collector run when a quarter has come to what is in use, stacks included, instead of
// when it has doubled. Commands allocate nothing, logins do: what thousands of them leave behind would otherwise be half of
// the memory of an idle session. GOGC in the environment overrides it.
func collectOften() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25)
	}
}
