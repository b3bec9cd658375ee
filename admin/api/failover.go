package api

import "time"

// FailoverRequest is the body of POST /api/v1/clusters/{c}/failover. An empty object is legal.
type FailoverRequest struct {
	// To is the name of the new primary; "" lets onewriter choose the standby that has received most.
	To string `json:"to,omitempty"`
	// Force goes on where it would be refused: loss beyond the limits, no fence, a candidate whose applier has stopped, a
	// primary that still answers.
	Force bool `json:"force,omitempty"`
	// DryRun says what it would do and lose, and why it would be refused, but changes nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// Failover is the answer with status 200.
type Failover struct {
	ID    string `json:"id"`
	From  string `json:"from"`
	To    string `json:"to"`
	Epoch uint64 `json:"epoch"` // after the operation
	// Outcome is completed or dry_run.
	Outcome string `json:"outcome"`
	// Fence says what keeps the old primary from being written to: fenced-proved, fenced-by-death, fenced-by-semisync,
	// fenced-by-command, fenced-by-watchdog or not-fenced. Empty in a dry run.
	Fence string `json:"fence"`
	Loss  Loss   `json:"loss"`
	// PauseMS is how long no client could write, from the moment clients were held.
	PauseMS        float64         `json:"pause_ms"`
	Phases         []Phase         `json:"phases"`
	SessionsClosed []ClosedSession `json:"sessions_closed"`
	Warnings       []string        `json:"warnings,omitempty"`
	// Refusals are, in a dry run, why it would be refused without force.
	Refusals []string `json:"refusals,omitempty"`
}

// Loss is what a failover may have lost.
type Loss struct {
	// AtLeast counts transactions that are known to be missing on the new primary.
	AtLeast uint64 `json:"at_least"`
	// WindowMS is the length of the time before the old primary's end from which transactions may be missing: 0 when
	// nothing more can be, -1 when it is not known.
	WindowMS int64 `json:"window_ms"`
	// Exact is true when nothing beyond AtLeast can be missing.
	Exact bool `json:"exact"`
	// Sentence says the same in words.
	Sentence string `json:"sentence"`
}

// RejoinRequest is the body of POST /api/v1/clusters/{c}/servers/{s}/rejoin. An empty object is legal.
type RejoinRequest struct {
	// Method is "" (bring it back if it is clean), rewind (undo what only it has), rebuild (replace its data by the
	// primary's) or discard (the operator vouches for its data).
	Method string `json:"method,omitempty"`
	// DryRun judges and lists what only the server has, but brings nothing back.
	DryRun bool `json:"dry_run,omitempty"`
}

// Rejoin is the answer with status 200, and part of a refusal once the server was judged.
type Rejoin struct {
	ID     string `json:"id"`
	Server string `json:"server"`
	Method string `json:"method"`
	// Outcome is completed or dry_run; refused in a refusal.
	Outcome string `json:"outcome"`
	// Verdict is clean, diverged, rebuilt_with_same_id or unknown.
	Verdict string `json:"verdict"`
	// Errant are the transactions that only this server has, or had before they were undone.
	Errant []ErrantTransaction `json:"errant"`
	// Undone is the file on the proxy's machine that keeps the undone rows as SQL.
	Undone string `json:"undone,omitempty"`
	// Commands are what an operator can run instead, one per line.
	Commands []string `json:"commands,omitempty"`
	Reasons  []string `json:"reasons"`
	Phases   []Phase  `json:"phases"`
}

// ErrantTransaction is one transaction that only one server has.
type ErrantTransaction struct {
	GTID  string `json:"gtid"`  // "" where the server has none
	Place string `json:"place"` // file:offset in the server's binary log
	// At is when it was committed, by the server's clock, to the second.
	At time.Time `json:"at"`
	// Tables counts the changed rows by schema.table.
	Tables map[string]int `json:"tables,omitempty"`
	// DDL are statements that are no row changes, cut to 200 characters.
	DDL []string `json:"ddl,omitempty"`
	// Own is true when all of it is in onewriter's own schema.
	Own bool `json:"own,omitempty"`
}

// AwayServer is a server that was left behind and may not serve before it is proved clean.
type AwayServer struct {
	Server string    `json:"server"`
	Epoch  uint64    `json:"epoch"` // the first one without it
	At     time.Time `json:"at"`
	// Why is failover or split.
	Why   string `json:"why"`
	Fence string `json:"fence"` // as in Failover
	Loss  Loss   `json:"loss"`
	// Verdict is as in Rejoin, or different (after a rewind its tables are not the primary's), "" while the server has not come back.
	Verdict string   `json:"verdict"`
	Reasons []string `json:"reasons"`
}

// Verdict is what is the matter with the primary.
type Verdict struct {
	// Kind is FINE, SUSPECT, LEAVING, WRITE_STUCK, MY_LINK, ISOLATED, CONFIRMED_DOWN, CONFIRMED_UNREACHABLE, NO_CANDIDATE,
	// SPLIT or UNKNOWN.
	Kind string `json:"kind"`
	// Cause is CONFIRMED_DOWN or CONFIRMED_UNREACHABLE for NO_CANDIDATE, else equal to Kind.
	Cause string `json:"cause"`
	// Since is when the trouble began; null when there is none.
	Since *time.Time `json:"since"`
	// Evidence are whole sentences, each one sign with its source.
	Evidence []string `json:"evidence"`
}
