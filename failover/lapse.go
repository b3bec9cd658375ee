package failover

import (
	"time"

	"github.com/onewriter/onewriter/topology"
)

// lapse remembers whether the primary that is seen closed was closed by its watchdog: its lease had run out when that was
// seen first. One that was closed by a person is seen so within a probe or two, long before.
type lapse struct {
	primary string
	closed  bool // it was seen closed, and not writable since
	ours    bool
}

func (l *lapse) see(snap *topology.Snapshot, primary string, cfg Config, now time.Time) bool {
	if l.primary != primary {
		*l = lapse{primary: primary}
	}
	o, found := snap.Find(primary)
	if !found || cfg.WatchdogTTL == 0 || cfg.WatchdogRenewed == nil || o.Class != topology.ClassOK && o.Class != topology.ClassReadOnly {
		return l.ours
	}
	shut := o.Facts.ReadOnly || o.Facts.SuperReadOnly
	if shut && !l.closed {
		renewed := cfg.WatchdogRenewed(primary)
		l.ours = !renewed.IsZero() && now.Sub(renewed) >= cfg.WatchdogTTL
	}
	if l.closed = shut; !shut {
		l.ours = false
	}
	return l.ours
}
