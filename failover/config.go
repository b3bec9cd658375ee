package failover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/failover/detect"
	"github.com/onewriter/onewriter/failover/fence"
	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/topology"
)

// Config is all that a Controller needs. Fields without a stated default are required.
type Config struct {
	// Cluster is the name of the cluster in the configuration, the API and the state file.
	Cluster string
	// Servers are the cluster's servers in the order of the configuration; of equally good standbys the first
	// one is chosen. One server alone is legal.
	Servers []topology.Instance
	// Monitor observes the servers all the time.
	Monitor Monitor
	// DataPath is steered by the controller.
	DataPath DataPath
	// Lease is asked before each action on a server.
	Lease coord.Lease
	// Store keeps epoch and primary across restarts.
	Store coord.Store
	// Journal records what was seen, decided and done.
	Journal *Journal
	// Connect opens handles for the control account.
	Connect Connect
	// ControlUser is the name of the control account; its own sessions are never killed.
	ControlUser string
	// Replication is the account standbys replicate with. It is needed only where a switchover has to point
	// servers at the new primary (no circular replication). The zero value means that there is none.
	Replication Replication
	// Limits are the bounds of a switchover; the zero value means DefaultLimits.
	Limits Limits
	// Policy is what an unplanned failover may do; see DefaultPolicy. The zero value allows nothing without an operator.
	Policy Policy
	// Detect are how long the signs of a failure must last.
	Detect detect.Limits
	// Findings gives the sentences of critical doctor findings that block an automatic failover; nil means none. It must
	// not block.
	Findings func() []string
	// Returned is told the name of a server that was away and is taken back: what Findings says of it is out of date. It
	// must not block. nil means that nobody wants to know.
	Returned func(server string)
	// FenceCommand is run to fence a primary that does not answer; the zero value means that there is none.
	FenceCommand fence.Command
	// Watchdog is how long after its last renewal a primary closes itself by the watchdog in the database; 0 when there
	// is none. Renewed gives the last renewal.
	Watchdog        time.Duration
	WatchdogRenewed func(server string) time.Time
	// WatchdogLapsed reports whether the lease of that server may have run out a short while ago, so that its watchdog may have
	// closed it, and whether that is known; nil as WatchdogRenewed.
	WatchdogLapsed func(server string) (lapsed, known bool)
	// WatchdogTTL is how long a lease lasts. A primary that is seen closed after its lease had run out was closed by its
	// watchdog, and is opened again like one that has restarted.
	WatchdogTTL time.Duration
	// WatchdogDisarm ends the lease of the primary and its renewal, before a planned switchover closes it: after an undone
	// one it must not be closed by a lease that ran out meanwhile. nil where there is no watchdog.
	WatchdogDisarm func(ctx context.Context) error
	// BinlogSource tells how to read the binary log of a server of the flavour ("mariadb" or "mysql") with the control
	// account; nil means that it cannot be read, so that what a server alone has cannot be listed or undone.
	BinlogSource func(i topology.Instance, flavor string) binlog.Source
	// KeepDir is the directory that undone transactions are kept in as SQL files.
	KeepDir string
	// Logger gets one line per state change and operation.
	Logger zerolog.Logger // names the cluster already

	// hook lets tests make a step fail before or after its work ("fence:before", "fence:after").
	hook func(point string) error
}

// Replication is the account for replication links that onewriter has to create.
type Replication struct {
	User     string
	Password string
	TLS      bool // ask the source for an encrypted connection
}

// Limits bounds everything that a switchover waits for.
type Limits struct {
	// MaxLag refuses a switchover to a standby that lags more (reported or measured). Default 2 s, at least 100 ms.
	MaxLag time.Duration
	// Throttle is for how long at most new transactions are delayed so that the standby can catch up before
	// clients are held. Default 8 s; 0 is not allowed, the smallest is 10 ms.
	Throttle time.Duration
	// ThrottleGap is the number of missing transactions at which throttling ends. Default 20.
	ThrottleGap uint64
	// ThrottleCatchup is the estimated catch-up time at which throttling ends. Default 100 ms.
	ThrottleCatchup time.Duration
	// Drain is how long open transactions may take to finish while new ones are held. Default 2 s.
	Drain time.Duration
	// FenceGrace is how long the fence may be pending before sessions that block it are killed. Default 50 ms.
	FenceGrace time.Duration
	// FenceKill is the interval between two rounds of killing while the fence is pending. Default 20 ms.
	FenceKill time.Duration
	// Fence is the budget of the whole fence, including the time to make its outcome certain. Default 2 s.
	Fence time.Duration
	// Settle is how long it may take to find out what became of a statement whose answer was lost. Default 2 s.
	Settle time.Duration
	// Catchup is how long the standby may take to apply everything after the fence. Default 5 s.
	Catchup time.Duration
	// Statement bounds each single statement that has no limit of its own. Default 2 s.
	Statement time.Duration
	// Repoint bounds the change of the source of one server, after the pause. Default 10 s.
	Repoint time.Duration
	// Follow is how long after a switchover it is looked whether the other servers follow. Default 5 s.
	Follow time.Duration
	// LongStatement is the age from which a schema change or global lock on the primary refuses a switchover,
	// and from which a transaction is named as a blocker. Default 1 s.
	LongStatement time.Duration
	// Recheck is how often an unclear situation is inspected again. Default 1 s.
	Recheck time.Duration
	// Backlog is how long a standby may take to apply what it has received before it takes over. Default 30 s.
	Backlog time.Duration
	// Return bounds each step of bringing a server back, other than the rebuild of its data. Default 2 min.
	Return time.Duration
	// Rebuild bounds the rebuild of a server's data. Default 12 h.
	Rebuild time.Duration
	// Stop is how long Run may take to bring an operation in progress to an end when it is told to stop.
	// Default 15 s.
	Stop time.Duration
}

// DefaultLimits returns the limits that fit two servers in one network.
func DefaultLimits() Limits {
	return Limits{
		MaxLag: 2 * time.Second, Throttle: 8 * time.Second, ThrottleGap: 20, ThrottleCatchup: 100 * time.Millisecond,
		Drain: 2 * time.Second, FenceGrace: 50 * time.Millisecond, FenceKill: 20 * time.Millisecond, Fence: 2 * time.Second,
		Settle: 2 * time.Second, Catchup: 5 * time.Second, Statement: 2 * time.Second, Repoint: 10 * time.Second,
		Follow: 5 * time.Second, LongStatement: time.Second, Recheck: time.Second, Stop: 15 * time.Second,
		Backlog: 30 * time.Second, Return: 2 * time.Minute, Rebuild: 12 * time.Hour,
	}
}

// Validate reports every limit that is out of its range.
func (l Limits) Validate() error {
	ms := time.Millisecond
	var errs []error
	for _, c := range []struct {
		name     string
		value    time.Duration
		min, max time.Duration
	}{
		{"max_lag", l.MaxLag, 100 * ms, time.Hour},
		{"throttle", l.Throttle, 10 * ms, 10 * time.Minute},
		{"throttle_catchup", l.ThrottleCatchup, ms, time.Minute},
		{"drain", l.Drain, ms, 10 * time.Minute},
		{"fence_grace", l.FenceGrace, ms, 10 * time.Second},
		{"fence_kill", l.FenceKill, ms, 10 * time.Second},
		{"fence", l.Fence, 200 * ms, time.Minute},
		{"settle", l.Settle, 200 * ms, time.Minute},
		{"catchup", l.Catchup, 10 * ms, 10 * time.Minute},
		{"statement", l.Statement, 100 * ms, time.Minute},
		{"repoint", l.Repoint, 100 * ms, 10 * time.Minute},
		{"follow", l.Follow, 10 * ms, 10 * time.Minute},
		{"long_statement", l.LongStatement, 10 * ms, time.Hour},
		{"recheck", l.Recheck, 10 * ms, time.Minute},
		{"backlog", l.Backlog, 100 * ms, time.Hour},
		{"return", l.Return, time.Second, time.Hour},
		{"rebuild", l.Rebuild, time.Second, 7 * 24 * time.Hour},
		{"stop", l.Stop, 100 * ms, 10 * time.Minute},
	} {
		if c.value < c.min || c.value > c.max {
			errs = append(errs, fmt.Errorf("%s is %s, it must be between %s and %s", c.name, c.value, c.min, c.max))
		}
	}
	if l.FenceGrace >= l.Fence {
		errs = append(errs, fmt.Errorf("fence_grace (%s) must be shorter than fence (%s)", l.FenceGrace, l.Fence))
	}
	return errors.Join(errs...)
}

// validate checks c and fills in the defaults.
func (c Config) validate() (Config, error) {
	if c.Limits == (Limits{}) {
		c.Limits = DefaultLimits()
	}
	errs := []error{c.Limits.Validate()}
	for name, missing := range map[string]bool{
		"Cluster": c.Cluster == "", "Servers": len(c.Servers) == 0, "Monitor": c.Monitor == nil, "DataPath": c.DataPath == nil,
		"Lease": c.Lease == nil, "Store": c.Store == nil, "Journal": c.Journal == nil, "Connect": c.Connect == nil,
		"ControlUser": c.ControlUser == "",
	} {
		if missing {
			errs = append(errs, fmt.Errorf("%s is not set", name))
		}
	}
	seen := map[string]bool{}
	for _, s := range c.Servers {
		if !s.Known() || s.Address == "" {
			errs = append(errs, errors.New("a server has no name or no address"))
		}
		if seen[s.Name] {
			errs = append(errs, fmt.Errorf("two servers are called %q", s.Name))
		}
		seen[s.Name] = true
	}
	if err := errors.Join(errs...); err != nil {
		return c, fmt.Errorf("controller of cluster %q: %w", c.Cluster, err)
	}
	return c, nil
}
