package topology

import (
	"time"

	"github.com/onewriter/onewriter/internal/gtid"
)

// Class sorts the outcome of one probe of one server. The string form is the metric label.
type Class uint8

// The classes of a probe. Auth, TooMany and ReadOnly mean that the server is alive.
const (
	ClassUnknown    Class = iota // never probed
	ClassOK                      // answered everything
	ClassRefused                 // connection refused: no process, or a firewall's REJECT (the two look the same)
	ClassReset                   // an open connection was reset or closed (2013)
	ClassTimeout                 // no answer within the deadline: hung, cut off, or slow
	ClassAuth                    // 1045 or 1130: alive, but will not let us in
	ClassTooMany                 // 1040: alive, no connection slot left
	ClassShutdown                // 1053: clean shutdown in progress
	ClassWriteStuck              // reads answer, the heartbeat write does not
	ClassError                   // answered with another error
	ClassReadOnly                // answers, but is closed for writes although it is the primary
)

var classNames = [...]string{"unknown", "ok", "refused", "reset", "timeout", "auth", "toomany", "shutdown", "write_stuck", "error", "readonly"}

// String gives the lower-case name used in the API and as metric label.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "unknown"
}

// ThreadState is the state of a replication thread as the replica reports it.
type ThreadState uint8

// The states that servers print as No, Connecting and Yes.
const (
	ThreadNo ThreadState = iota
	ThreadConnecting
	ThreadYes
)

// String gives the server's own word.
func (t ThreadState) String() string {
	switch t {
	case ThreadConnecting:
		return "Connecting"
	case ThreadYes:
		return "Yes"
	case ThreadNo:
		return "No"
	default:
		return "No"
	}
}

// Link is one replication link (channel, connection) as the replica at its receiving end reports it.
type Link struct {
	Channel        string // channel or connection name, "" for the default one
	Source         string // host:port the replica reads from
	SourceServerID uint32
	IO             ThreadState
	SQL            ThreadState
	IOErrno        int
	IOError        string
	SQLErrno       int
	SQLError       string
	ApplierState   string // the applier's state in the server's words, e.g. that it has read all relay log
	UsesGTID       bool
	// LagKnown is false when the server prints NULL (a thread is down). Lag is Seconds_Behind_Source: a hint,
	// never a gate, because it is 0 while the source hangs.
	LagKnown bool
	Lag      time.Duration
	// Received is what the receiver thread has got, Applied what the applier has executed, in the link's own
	// terms: GTID where the link uses it, else file/position of the source's binary log.
	Received gtid.Position
	Applied  gtid.Position
	// ReceivedFile and AppliedFile are the same as places in the source's binary log, whether the link uses GTID or
	// not (Master_Log_File and Read_Master_Log_Pos, Relay_Master_Log_File and Exec_Master_Log_Pos).
	ReceivedFile gtid.Position
	AppliedFile  gtid.Position
	// Heartbeats counts replication heartbeats received; it freezes at once when the source hangs.
	Heartbeats uint64
	// HeartbeatPeriod is how often the source sends one while it has no events; 0 when unknown.
	HeartbeatPeriod time.Duration
	// Retry is how long the receiver waits between two attempts to reach its source; 0 when unknown.
	Retry time.Duration
	// Delay is the configured replication delay (SOURCE_DELAY); such a replica is no candidate.
	Delay time.Duration
}

// Running reports whether both threads say Yes. It is necessary for health, never sufficient.
func (l Link) Running() bool { return l.IO == ThreadYes && l.SQL == ThreadYes }

// Facts are the things a server tells of itself.
type Facts struct {
	Flavor        string // "mariadb" or "mysql"
	Version       string // @@version
	ServerID      uint32
	ServerUUID    string // @@server_uuid (MySQL) or @@server_uid (MariaDB 10.10+), else ""
	ReadOnly      bool
	SuperReadOnly bool // MySQL only; true while ReadOnly is false means that a fence is pending
	// Position is everything this server has in its binary log or applied: gtid_binlog_state/gtid_executed, or
	// the file and position of its own binary log where GTID is off.
	Position gtid.Position
	// GTID reports that Position is made of GTIDs: always on MariaDB, with gtid_mode ON on MySQL. GTIDStrict that
	// the server refuses what would make them useless (gtid_strict_mode; always with GTID on MySQL).
	GTID       bool
	GTIDStrict bool
	// BinaryLog and LogsUpdates are log_bin and log_slave_updates. Without the latter a standby's Position does
	// not tell which server wrote what.
	BinaryLog   bool
	LogsUpdates bool
	// Clock is the server's own clock when it answered, in UTC; zero when it could not be read.
	Clock time.Time
	Links []Link
}

// Writable reports whether ordinary accounts can write on the server.
func (f Facts) Writable() bool { return !f.ReadOnly && !f.SuperReadOnly }

// Observation is what one probe found out about one server.
type Observation struct {
	Instance Instance
	At       time.Time     // when the probe began
	Latency  time.Duration // how long it took
	Class    Class
	Err      string // the error in the server's or the kernel's words, "" when Class is ok
	Facts    Facts  // of the last successful probe; zero if there never was one
	FactsAt  time.Time
	// PositionAt is when Facts.Position was read: FactsAt, or earlier where it takes a statement of its own, which is not issued with
	// every probe (a server without GTID).
	PositionAt time.Time
	// ReceiveAge is how long ago the standby last received anything (event or heartbeat) from its source, as of the
	// snapshot's time; 0 for a server that has no link.
	ReceiveAge time.Duration
	// ReceivedAt is when the server was last seen to have received something more than before; zero when it was not, in
	// the time that it has been watched with the present primary.
	ReceivedAt time.Time
	// ReceivedAfter is the look before that one, so that something was certainly received later than this; zero when
	// ReceivedAt is.
	ReceivedAfter time.Time
	// WritableSince is when the first of the present run of answers came that showed the server writable; zero when
	// the last one did not, or when it is not known.
	WritableSince time.Time
	// MeasuredLag is how long the standby takes to apply what we write on the primary: the age of our oldest heartbeat
	// row that has not arrived, on our own clock. Negative when unknown, and on the primary.
	MeasuredLag time.Duration
	// BadSince is when the first probe of the present run of probes began that did not prove the server alive; zero while
	// it is alive. BadProbes counts them.
	BadSince  time.Time
	BadProbes int
	// MissedAt is when the last probe began that did not prove the server alive; zero when all did.
	MissedAt time.Time
	// Replied is when a client session last got an answer from the server through the data path, zero when unknown;
	// Lost counts the server connections of clients that broke since BadSince.
	Replied time.Time
	Lost    int
	// Problems are findings a person should read, each a short sentence.
	Problems []string
}

// Alive reports whether the server proved within this probe that it runs, even if it would not serve us.
func (o Observation) Alive() bool {
	switch o.Class {
	case ClassOK, ClassAuth, ClassTooMany, ClassWriteStuck, ClassError, ClassShutdown, ClassReadOnly:
		return true
	case ClassUnknown, ClassRefused, ClassReset, ClassTimeout:
		return false
	default:
		return false
	}
}

// Snapshot is the newest observation of every server of one cluster, in the order of the configuration.
type Snapshot struct {
	Cluster string
	At      time.Time
	// Since is when the primary was named last, or that there is none; zero when it never was. Facts from before tell nothing
	// about the role that a server has now.
	Since   time.Time
	Servers []Observation
}

// Find returns the observation of the server called name.
func (s *Snapshot) Find(name string) (Observation, bool) {
	if s == nil {
		return Observation{}, false
	}
	for _, o := range s.Servers {
		if o.Instance.Name == name {
			return o, true
		}
	}
	return Observation{}, false
}
