package detect

import (
	"time"

	"github.com/onewriter/onewriter/topology"
)

// Limits are how long signs must last. The zero value means DefaultLimits.
type Limits struct {
	Hang time.Duration // a primary that does not answer in time for this long hangs. Default 2 s
	// Silence is how long a standby must have received nothing to count as receiving nothing, if its source sends
	// replication heartbeats at least once in 40 % of that. Default 2.5 s.
	Silence time.Duration
}

// DefaultLimits returns the limits that fit a heartbeat of one second.
func DefaultLimits() Limits { return Limits{Hang: 2 * time.Second, Silence: 2500 * time.Millisecond} }

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	if l.Hang <= 0 {
		l.Hang = d.Hang
	}
	if l.Silence <= 0 {
		l.Silence = d.Silence
	}
	return l
}

const (
	// refusedApart is how far apart two refused probes must be: a restart of the listener or a full backlog is shorter.
	refusedApart = 50 * time.Millisecond
	// refusedProbes is how many probes in a row must have failed.
	refusedProbes = 2
	// receiptMargin is how much later than the begin of the trouble a receipt must be noticed to have happened after
	// it: a standby is asked every 250 ms, and what it shows then is older.
	receiptMargin = 500 * time.Millisecond
	// retryMargin is what an attempt to connect may take.
	retryMargin = time.Second

	// What servers do unless they are told otherwise, in both flavours.
	defaultPeriod = 30 * time.Second // replication heartbeats: half of slave_net_timeout
	defaultRetry  = 60 * time.Second // connect retry
)

// silence is how long the link must have received nothing to count as receiving nothing: an idle source is silent
// between two heartbeats, and while we do not reach it our heartbeat rows do not come either.
func (l Limits) silence(link topology.Link) time.Duration {
	period := link.HeartbeatPeriod
	if period <= 0 {
		period = defaultPeriod
	}
	return max(l.Silence, period*5/2)
}

// retried is how long after something happened the receiver has certainly tried to connect again.
func retried(link topology.Link) time.Duration {
	retry := link.Retry
	if retry <= 0 {
		retry = defaultRetry
	}
	return retry + retryMargin
}
