package failover

import (
	"time"

	"github.com/onewriter/onewriter/topology"
)

// lapse remembers whether the primary that is seen closed was closed by its watchdog: its lease had run out when that was
// seen first, or a short while before. One that was closed by a person is seen so within a probe or two, long before the end
// of the lease. Shortly after this process took over, the lease may be one that an earlier process left behind, of which
// nothing is known.
type lapse struct {
	primary string
	since   time.Time // when this process began to watch over it
	closed  bool      // it was seen closed, and not writable since
	ours    bool
}

// strangers is for how many times its length the lease of an earlier process may be the cause: it lasts one, and the event
// that looks at it may be late.
const strangers = 2

func (l *lapse) see(snap *topology.Snapshot, primary string, cfg Config, now time.Time) bool {
	if l.primary != primary {
		*l = lapse{primary: primary, since: now}
	}
	o, found := snap.Find(primary)
	if !found || cfg.WatchdogTTL == 0 || cfg.WatchdogLapsed == nil || o.Class != topology.ClassOK && o.Class != topology.ClassReadOnly {
		return l.ours
	}
	shut := o.Facts.ReadOnly || o.Facts.SuperReadOnly
	if shut && !l.closed {
		var known bool
		if l.ours, known = cfg.WatchdogLapsed(primary); !known {
			l.ours = now.Sub(l.since) < strangers*cfg.WatchdogTTL
		}
	}
	if l.closed = shut; !shut {
		l.ours = false
	}
	return l.ours
}
