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
	// Mode is `manual` (only operators move the primary role), `off` (nobody does: switchovers are refused) or
	// `automatic`. This version performs planned switchovers only, so `automatic` is accepted and acts like `manual`:
	// when the primary dies, clients wait and then get errors until it is back.
	Mode FailoverMode `yaml:"mode" default:"manual" enum:"automatic,manual,off"`
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
