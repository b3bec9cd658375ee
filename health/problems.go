package health

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/topology"
)

const (
	defaultHeartbeatPeriod = 30 * time.Second // both flavours: half of slave_net_timeout
	silentAfter            = 3 * time.Second  // nothing received for that long is worth a sentence
	skewLimit              = 2 * time.Second  // difference of clocks worth a sentence
	lagLimit               = 10 * time.Second // lag worth a sentence
)

// problems says in sentences what a person should know about server i.
func (c *collector) problems(i int, o topology.Observation) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	k := &c.servers[i]
	switch o.Class {
	case topology.ClassOK, topology.ClassUnknown, topology.ClassReadOnly: // the last is told below
	default:
		add("The server %s: %s.", inWords(o.Class), trimmed(o.Err))
	}
	if k.connectErr != nil {
		add("The open connection works, but a new one does not: %s.", trimmed(k.connectErr.Error()))
	}
	if o.FactsAt.IsZero() {
		return out
	}
	out = append(out, c.identityProblems(i)...)
	if k.skew > skewLimit || k.skew < -skewLimit {
		add("Its clock differs from ours by %s.", k.skew.Round(time.Millisecond))
	}
	if c.primary == "" {
		return append(out, c.linkProblems(o)...)
	}
	if o.FactsAt.Before(c.since) {
		return out
	}
	if i == c.primaryIndex() {
		return append(out, c.primaryProblems(k, o)...)
	}
	return append(out, c.standbyProblems(k, o)...)
}

// inWords puts a class into a sentence.
func inWords(c topology.Class) string {
	switch c {
	case topology.ClassRefused:
		return "refuses connections"
	case topology.ClassReset:
		return "ends connections"
	case topology.ClassTimeout:
		return "does not answer in time"
	case topology.ClassAuth:
		return "is alive but does not let the control account in"
	case topology.ClassTooMany:
		return "is alive but has no connection left"
	case topology.ClassShutdown:
		return "is shutting down"
	case topology.ClassWriteStuck:
		return "answers reads but not writes"
	case topology.ClassReadOnly:
		return "is the primary but closed for writes"
	case topology.ClassError, topology.ClassOK, topology.ClassUnknown:
		return "answers with an error"
	default:
		return "answers with an error"
	}
}

func trimmed(s string) string { return strings.TrimRight(s, ". \n") }

func errorNumber(err error) (uint16, bool) {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number, true
	}
	return 0, false
}

// identityProblems are about ids that must differ and settings that all servers need.
func (c *collector) identityProblems(i int) (out []string) {
	f := c.servers[i].last.Facts
	if f.ServerID == 0 {
		out = append(out, "Its server_id is 0: it cannot replicate.")
	}
	for j := range c.servers {
		other := c.servers[j].last
		if j == i || other.FactsAt.IsZero() {
			continue
		}
		if f.ServerID != 0 && other.Facts.ServerID == f.ServerID {
			out = append(out, fmt.Sprintf("It has the same server_id %d as %s: each would skip what the other wrote.",
				f.ServerID, other.Instance.Name))
		}
		if f.ServerUUID != "" && other.Facts.ServerUUID == f.ServerUUID {
			out = append(out, fmt.Sprintf("It has the same identity %s as %s: one is a copy of the other.",
				f.ServerUUID, other.Instance.Name))
		}
		if f.Flavor != "" && other.Facts.Flavor != f.Flavor {
			out = append(out, fmt.Sprintf("It is %s while %s is %s.", f.Flavor, other.Instance.Name, other.Facts.Flavor))
		}
	}
	if !f.BinaryLog {
		out = append(out, "Its binary log is off (log_bin): nothing can replicate from it.")
	} else if !f.LogsUpdates && slices.ContainsFunc(f.Links, func(l topology.Link) bool { return l.UsesGTID }) {
		out = append(out, "It replicates by GTID with log_slave_updates off: nothing can replicate from it what it applied.")
	}
	if f.SuperReadOnly && !f.ReadOnly {
		out = append(out, "super_read_only is set and read_only is not: a statement that closes the server is waiting.")
	}
	return out
}

func (c *collector) primaryProblems(k *known, o topology.Observation) (out []string) {
	if !o.Facts.Writable() {
		out = append(out, "It is the primary but read-only.")
	}
	if k.beatErr != nil && o.Class == topology.ClassOK && !errors.Is(k.beatErr, errReadOnly) {
		out = append(out, fmt.Sprintf("The heartbeat row could not be written: %s.", trimmed(k.beatErr.Error())))
	}
	return append(out, brokenThreads(o)...)
}

func (c *collector) standbyProblems(k *known, o topology.Observation) (out []string) {
	if !o.Facts.ReadOnly {
		out = append(out, "It is a standby but read_only is off: applications can write to it.")
	}
	if k.lacking {
		out = append(out, fmt.Sprintf("It has transactions that the primary %s lacks: the histories have gone apart.", c.primary))
	}
	if len(o.Facts.Links) == 0 {
		return append(out, "It is a standby but replicates from nobody.")
	}
	id := c.primaryID()
	if _, ok := linkFrom(o.Facts.Links, id); id != 0 && !ok && len(c.servers) == 2 {
		out = append(out, fmt.Sprintf("It does not replicate from the primary %s.", c.primary))
	}
	if o.MeasuredLag > lagLimit {
		out = append(out, fmt.Sprintf("It is %s behind the primary.", o.MeasuredLag.Round(time.Second)))
	}
	return append(out, c.linkProblems(o)...)
}

// linkProblems are about links that should run.
func (c *collector) linkProblems(o topology.Observation) (out []string) {
	out = brokenThreads(o)
	if len(out) > 0 || o.Class != topology.ClassOK {
		return out
	}
	for _, l := range o.Facts.Links {
		if l.Running() && o.ReceiveAge > c.silence(l) {
			return append(out, fmt.Sprintf("Both replication threads say Yes, but nothing was received for %s.",
				o.ReceiveAge.Round(100*time.Millisecond)))
		}
	}
	return out
}

// silence is how long a healthy link may receive nothing. While we write heartbeat rows that is not long.
func (c *collector) silence(l topology.Link) time.Duration {
	switch {
	case len(c.beats.beats) > 0:
		return silentAfter
	case l.HeartbeatPeriod > 0:
		return max(silentAfter, 3*l.HeartbeatPeriod)
	default:
		return 3 * defaultHeartbeatPeriod
	}
}

// brokenThreads says in the server's words why threads of links do not run.
func brokenThreads(o topology.Observation) (out []string) {
	for _, l := range o.Facts.Links {
		from := "from " + l.Source
		if l.Channel != "" {
			from += fmt.Sprintf(" (channel %s)", l.Channel)
		}
		if l.IO != topology.ThreadYes {
			out = append(out, threadSentence("receives nothing "+from, "IO thread: "+l.IO.String(), l.IOErrno, l.IOError))
		}
		if l.SQL != topology.ThreadYes {
			out = append(out, threadSentence("does not apply what it received "+from, "SQL thread: "+l.SQL.String(), l.SQLErrno, l.SQLError))
		}
	}
	return out
}

func threadSentence(what, thread string, number int, text string) string {
	if number == 0 && text == "" {
		return fmt.Sprintf("It %s (%s).", what, thread)
	}
	return fmt.Sprintf("It %s (%s): error %d, %s.", what, thread, number, trimmed(text))
}
