package conf

import "time"

// Detection says how long the signs of a failure must last. A primary whose process is gone needs none of this: it
// refuses connections, here and to its standby.
type Detection struct {
	// HangTimeout is for how long a primary must not answer in time before it counts as hung or cut off.
	HangTimeout time.Duration `yaml:"hang_timeout" default:"2s" min:"500ms" max:"1h"`
	// ReceiveSilence is for how long a standby must have received nothing from such a primary before the standby counts
	// as a second witness. The heartbeat row arrives once a second, so it must be well above that.
	ReceiveSilence time.Duration `yaml:"receive_silence" default:"2.5s" min:"1.5s" max:"1h"`
}

// Fencing says what else, besides setting it read-only, may keep a lost primary from being written to.
type Fencing struct {
	// Command is a program with its arguments, one per entry, that switches a primary off which does not answer: a
	// power switch, a hypervisor, a cloud API. It runs without a shell and must exit with 0 only when the server can
	// certainly not write any more.
	Command []string `yaml:"command"`
	// CommandTimeout is how long the command may run; then it is killed and counts as failed.
	CommandTimeout time.Duration `yaml:"command_timeout" default:"10s" min:"100ms" max:"10m"`
	// Watchdog keeps a lease row on the primary and an event in its scheduler that makes the server read-only by itself
	// when Onewriter has not renewed the lease for `watchdog_ttl`. It needs `event_scheduler=ON` on every server.
	Watchdog bool `yaml:"watchdog" default:"false"`
	// WatchdogTTL is how long a primary may stay writable without hearing from Onewriter.
	WatchdogTTL time.Duration `yaml:"watchdog_ttl" default:"5s" min:"2s" max:"10m"`
}

// Doctor says when the servers are examined for what would go wrong in a failover.
type Doctor struct {
	// Interval is the time between two examinations; the first one is at start.
	Interval time.Duration `yaml:"interval" default:"5m" min:"10s" max:"24h"`
	// Ignore are the codes of findings that are accepted: they are not reported and block nothing.
	Ignore []string `yaml:"ignore"`
}
