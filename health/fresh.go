package health

import (
	"strconv"
	"strings"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// freshness notices when a standby received something: an event or a replication heartbeat. "Both threads Yes" does
// not tell that; a receiver says Yes for slave_net_timeout (a minute by default) after its source hung.
type freshness struct {
	mark  string
	of    uint32    // the primary that the mark is about
	at    time.Time // when the mark changed last; zero before the first
	moved time.Time // the same, but zero as long as nothing but the first mark of this primary was seen
}

// see takes the facts of a successful probe that began at the moment at.
func (f *freshness) see(links []topology.Link, primaryID uint32, at time.Time) {
	mark := receivedMark(links, primaryID)
	if primaryID != f.of {
		f.moved = time.Time{}
	} else if mark != f.mark && f.mark != "" {
		f.moved = at
	}
	if mark != f.mark || f.at.IsZero() {
		f.mark, f.at = mark, at
	}
	f.of = primaryID
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
	if l, ok := linkFrom(links, primaryID); ok {
		links = []topology.Link{l}
	}
	var b strings.Builder
	for _, l := range links {
		b.WriteString(strconv.FormatUint(l.Heartbeats, 10))
		b.WriteByte(' ')
		b.WriteString(l.ReceivedFile.String())
		b.WriteByte(' ')
		b.WriteString(l.Received.String())
		b.WriteByte('\n')
	}
	return b.String()
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
