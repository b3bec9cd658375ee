package failover

import (
	"time"

	"github.com/onewriter/onewriter/topology"
)

// Mode says who may move the primary role when the primary has failed.
type Mode uint8

// The modes. The zero value is the careful one.
const (
	ModeManual    Mode = iota // an operator, by Failover
	ModeAutomatic             // the controller by itself, and an operator
	ModeOff                   // nobody: every request is refused
)

var modeNames = [...]string{"manual", "automatic", "off"}

// String gives the configuration's word.
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return "unknown"
}

// Policy is what an operator allows an unplanned failover to do.
type Policy struct {
	Mode Mode
	// MaxDataLoss is how many transactions may be known to be missing on the new primary. Default 0.
	MaxDataLoss uint64
	// MaxUnreceivedWindow is how long the time may be from which transactions may be missing. Default 10 s.
	MaxUnreceivedWindow time.Duration
	// RequireFence refuses to promote when the old primary could not be fenced in any way.
	RequireFence bool
	// Cooldown is the least time between two automatic failovers. Default 30 s.
	Cooldown time.Duration
	// MaxPerHour is how many automatic failovers there may be in one hour. Default 2; 0 means no limit.
	MaxPerHour int
	// Rejoin brings a server that came back and is proved clean back by itself. RejoinRewind also undoes transactions
	// that nobody else has when all of them are in Onewriter's own schema (heartbeats).
	Rejoin       bool
	RejoinRewind bool
	// Never are the servers that must not become primary; Priority prefers servers with a higher number among equally
	// good ones (default 0).
	Never    map[string]bool
	Priority map[string]int
}

// DefaultPolicy returns what the configuration's defaults allow.
func DefaultPolicy() Policy {
	return Policy{MaxUnreceivedWindow: 10 * time.Second, Cooldown: 30 * time.Second, MaxPerHour: 2, Rejoin: true, RejoinRewind: true}
}

// FailoverRequest asks for an unplanned failover: the primary has failed, or shall be given up.
type FailoverRequest struct {
	To string `json:"to"` // the new primary; "" lets the controller choose
	// Force goes on where an automatic failover would not: loss beyond the limits, cooldown, doctor findings, a
	// candidate whose applier has stopped with an error, a primary that still answers but cannot be fenced.
	Force  bool   `json:"force"`
	DryRun bool   `json:"dry_run"`
	By     string `json:"by"`
}

// Loss is what an unplanned failover may have lost.
type Loss struct {
	// AtLeast counts transactions that were seen on the old primary and are not on the new one.
	AtLeast uint64 `json:"at_least"`
	// WindowMS is the length in milliseconds of the time before the old primary's last sign of life from which
	// transactions may be missing; 0 when nothing can be missing, -1 when it is not known.
	WindowMS int64 `json:"window_ms"`
	// Exact is true when nothing beyond AtLeast can be missing: the old primary was read after it had been fenced, or
	// its commits waited for the new primary (semi-sync).
	Exact bool `json:"exact"`
	// Sentence says the same in words.
	Sentence string `json:"sentence"`
}

// FailoverResult is what an unplanned failover did, or, for a dry run, would do.
type FailoverResult struct {
	ID             string                   `json:"id"`
	From           string                   `json:"from"`
	To             string                   `json:"to"`
	Epoch          topology.Epoch           `json:"epoch"`
	Outcome        string                   `json:"outcome"` // OutcomeCompleted or OutcomeDryRun
	Fence          string                   `json:"fence"`   // see fence.Kind
	Loss           Loss                     `json:"loss"`
	PauseMS        float64                  `json:"pause_ms"` // from the moment clients were held
	Phases         []Phase                  `json:"phases"`
	SessionsClosed []topology.ClosedSession `json:"sessions_closed"`
	Warnings       []string                 `json:"warnings,omitempty"`
	// Refusals are, in a dry run, the reasons why it would be refused without Force.
	Refusals []string `json:"refusals,omitempty"`
}

// The methods of a rejoin.
const (
	RejoinAuto    = ""        // judge, and bring it back if it is clean
	RejoinRewind  = "rewind"  // undo the transactions that nobody else has, then bring it back
	RejoinRebuild = "rebuild" // replace its data by the primary's (MySQL: CLONE)
	RejoinDiscard = "discard" // forget that the server was away: the operator vouches for its data
)

// RejoinRequest asks to bring a server back that was left behind.
type RejoinRequest struct {
	Server string `json:"server"`
	Method string `json:"method"`
	DryRun bool   `json:"dry_run"` // judge only
	By     string `json:"by"`
}

// RejoinResult is what was found out and done.
type RejoinResult struct {
	ID      string `json:"id"`
	Server  string `json:"server"`
	Method  string `json:"method"`
	Outcome string `json:"outcome"` // OutcomeCompleted or OutcomeDryRun
	Verdict string `json:"verdict"` // clean, diverged, rebuilt_with_same_id, unknown
	// Errant are the transactions that only this server has, with tables and row counts.
	Errant []ErrantTransaction `json:"errant,omitempty"`
	// Undone is the file that keeps the undone rows as SQL, after a rewind.
	Undone string `json:"undone,omitempty"`
	// Commands are what an operator can run instead, one per line.
	Commands []string `json:"commands,omitempty"`
	Reasons  []string `json:"reasons,omitempty"`
	Phases   []Phase  `json:"phases,omitempty"`
}

// ErrantTransaction is one transaction that only one server has.
type ErrantTransaction struct {
	GTID   string         `json:"gtid"`             // "" where the server has none
	Place  string         `json:"place"`            // file:offset in the server's binary log
	At     time.Time      `json:"at"`               // when it was committed, by the server's clock, to the second
	Tables map[string]int `json:"tables,omitempty"` // schema.table: changed rows
	DDL    []string       `json:"ddl,omitempty"`    // statements that are no row changes, cut to 200 characters
	Own    bool           `json:"own,omitempty"`    // all of it is in Onewriter's own schema
}

// AwayServer is a server that may not serve before it is proved clean.
type AwayServer struct {
	Server  string         `json:"server"`
	Epoch   topology.Epoch `json:"epoch"`
	At      time.Time      `json:"at"`
	Why     string         `json:"why"`
	Fence   string         `json:"fence"`
	Loss    Loss           `json:"loss"`
	Verdict string         `json:"verdict"` // "" while it has not come back
	Reasons []string       `json:"reasons,omitempty"`
}
