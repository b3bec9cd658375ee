package health

import (
	"strconv"
	"strings"
	"time"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// freshness notices when a standby received something: an event or a replication heartbeat. "Both threads Yes" does
// not tell that; a receiver says Yes for slave_net_timeout (a minute by default) after its source hung.
type freshness struct {
	mark   string
	of     uint32          // the primary that the mark is about
	at     time.Time       // when the mark changed last; zero before the first
	moved  time.Time       // the last look that showed more received than the one before, of this primary; zero before the first
	after  time.Time       // the look before that one: something was received later than this
	links  []topology.Link // of the last look
	looked time.Time       // the last look
}

// see takes the facts of a successful probe that began at the moment at.
func (f *freshness) see(links []topology.Link, primaryID uint32, at time.Time) {
	mark := receivedMark(links, primaryID)
	if primaryID != f.of {
		f.moved, f.after = time.Time{}, time.Time{}
	} else if mark != f.mark && f.mark != "" && advanced(ofPrimary(f.links, primaryID), ofPrimary(links, primaryID)) {
		f.moved, f.after = at, f.looked
	}
	if mark != f.mark || f.at.IsZero() {
		f.mark, f.at = mark, at
	}
	f.of, f.links, f.looked = primaryID, links, at
}

// advanced reports whether a link has received something between two looks. Another mark alone does not say so: a server
// that restarts counts its heartbeats anew and forgets what it has received and not applied.
func advanced(before, now []topology.Link) bool {
	for _, l := range now {
		for _, was := range before {
			if was.Channel != l.Channel || was.SourceServerID != l.SourceServerID {
				continue
			}
			if l.Heartbeats > was.Heartbeats || gtid.Relate(l.ReceivedFile, was.ReceivedFile) == gtid.Ahead || gtid.Relate(l.Received, was.Received) == gtid.Ahead {
				return true
			}
		}
	}
	return false
}

// age is how long ago that was; 0 for a server that never had a link.
func (f *freshness) age(now time.Time) time.Duration {
	if f.mark == "" || f.at.IsZero() {
		return 0
	}
	return max(0, now.Sub(f.at))
}

// receivedMark is a text that changes whenever something is received, on the link from the primary where it is known,
// else on any link.
func receivedMark(links []topology.Link, primaryID uint32) string {
	var b strings.Builder
	for _, l := range ofPrimary(links, primaryID) {
		b.WriteString(strconv.FormatUint(l.Heartbeats, 10))
		b.WriteByte(' ')
		b.WriteString(l.ReceivedFile.String())
		b.WriteByte(' ')
		b.WriteString(l.Received.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// ofPrimary is the link from the primary where it is known, else all links.
func ofPrimary(links []topology.Link, primaryID uint32) []topology.Link {
	if l, ok := linkFrom(links, primaryID); ok {
		return []topology.Link{l}
	}
	return links
}

// linkFrom finds the link that receives from server id.
func linkFrom(links []topology.Link, id uint32) (topology.Link, bool) {
	if id == 0 {
		return topology.Link{}, false
	}
	for _, l := range links {
		if l.SourceServerID == id {
			return l, true
		}
	}
	return topology.Link{}, false
}
