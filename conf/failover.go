package conf

import "time"

// FailoverMode says what may move the primary role.
type FailoverMode string

// The failover modes.
const (
	FailoverAutomatic FailoverMode = "automatic"
	FailoverManual    FailoverMode = "manual"
	FailoverOff       FailoverMode = "off"
)

// Rejoin says who brings a server back that was left behind.
type Rejoin string

// The rejoin modes.
const (
	RejoinAutomatic Rejoin = "automatic"
	RejoinManual    Rejoin = "manual"
)

// Health says how servers are probed.
type Health struct {
	// Interval is the time between two probes of one server.
	Interval time.Duration `yaml:"interval" default:"250ms" min:"20ms" max:"1m"`
	// Timeout is how long a server may take to answer a probe.
	Timeout time.Duration `yaml:"timeout" default:"1s" min:"50ms" max:"1m"`
	// Heartbeat lets onewriter write one row per second into the table onewriter.heartbeat on the primary. It proves
	// that writes work and measures the real lag of the standbys.
	Heartbeat bool `yaml:"heartbeat" default:"true"`
}

// Failover says what may move the primary role and for how long everything may wait meanwhile.
type Failover struct {
	// Mode is who moves the primary role when the primary has failed: `manual` (an operator, with `onewriter failover`),
	// `automatic` (Onewriter by itself, and operators) or `off` (nobody: switchovers are refused as well).
	Mode FailoverMode `yaml:"mode" default:"manual" enum:"automatic,manual,off"`
	// MaxDataLoss is how many transactions may be known to be missing on the new primary. With more of them no automatic
	// failover happens; an operator may force it.
	MaxDataLoss int `yaml:"max_data_loss" default:"0" min:"0" max:"1000000000"`
	// MaxUnreceivedWindow is how long the time before the end of the old primary may be from which nobody knows whether
	// transactions are missing, because the new primary had received nothing newer. With a longer one no automatic
	// failover happens; an operator may force it.
	MaxUnreceivedWindow time.Duration `yaml:"max_unreceived_window" default:"10s" min:"0s" max:"8760h"`
	// RequireFence lets no automatic failover happen while the old primary may still be writable: it was neither seen
	// read-only, nor is its process gone, nor does anything under `fencing` or semi-synchronous replication keep it from
	// acknowledging writes. Without it, clients that go round Onewriter can still write to a primary that is cut off.
	RequireFence bool `yaml:"require_fence" default:"false"`
	// Cooldown is the least time between two automatic failovers.
	Cooldown time.Duration `yaml:"cooldown" default:"30s" min:"0s" max:"24h"`
	// MaxPerHour is how many automatic failovers there may be within one hour; 0 means that there is no limit.
	MaxPerHour int `yaml:"max_per_hour" default:"2" min:"0" max:"1000"`
	// Rejoin says what happens when a server that was left behind comes back and is proved to have nothing that the
	// primary lacks: `automatic` makes it a standby again, `manual` leaves that to `onewriter rejoin`.
	Rejoin Rejoin `yaml:"rejoin" default:"automatic" enum:"automatic,manual"`
	// RejoinOwnRows lets such a rejoin undo transactions that only the returning server has, if all of them are in
	// Onewriter's own schema (heartbeats). Other transactions are never undone without an operator.
	RejoinOwnRows bool `yaml:"rejoin_own_rows" default:"true"`
	// MaxLag refuses a switchover to a standby that is further behind.
	MaxLag time.Duration `yaml:"max_lag" default:"2s" min:"100ms" max:"1h"`
	// ThrottleTimeout is for how long at most new transactions are slowed down before a switchover, so that the
	// standby can catch up while clients still work.
	ThrottleTimeout time.Duration `yaml:"throttle_timeout" default:"8s" min:"10ms" max:"10m"`
	// DrainTimeout is how long open transactions may take to finish once new ones are held. The sessions of those that
	// take longer are ended with a clear error.
	DrainTimeout time.Duration `yaml:"drain_timeout" default:"2s" min:"1ms" max:"10m"`
	// FenceTimeout is how long it may take to make the old primary read-only. When it does not succeed the switchover
	// is undone.
	FenceTimeout time.Duration `yaml:"fence_timeout" default:"2s" min:"200ms" max:"1m"`
	// CatchupTimeout is how long the standby may take to apply everything after the old primary was fenced. When it
	// does not succeed the switchover is undone.
	CatchupTimeout time.Duration `yaml:"catchup_timeout" default:"5s" min:"10ms" max:"10m"`
}
