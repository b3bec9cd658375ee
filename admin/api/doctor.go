package api

import "time"

// Doctor is the answer to GET /api/v1/clusters/{c}/doctor: what the last examination found.
type Doctor struct {
	Cluster string `json:"cluster"`
	// At is when the examination began; null when there was none yet.
	At       *time.Time `json:"at"`
	TookMS   float64    `json:"took_ms"`
	Findings []Finding  `json:"findings"`
	// Checks counts the checks that were made.
	Checks int `json:"checks"`
	// Failed are the checks that could not be made, and why.
	Failed []string `json:"failed"`
}

// Finding is one thing that would go wrong, or make a failover unsafe.
type Finding struct {
	// Code is stable, for example SERVER_ID_DUPLICATE; docs/doctor.md lists all.
	Code string `json:"code"`
	// Severity is info, warning or critical.
	Severity string `json:"severity"`
	// Server is the server it is about, "" for the cluster.
	Server   string   `json:"server"`
	Summary  string   `json:"summary"`
	Evidence []string `json:"evidence"`
	// Fix are SQL statements or configuration lines.
	Fix []string `json:"fix"`
	// Blocks is true when no automatic failover happens because of it.
	Blocks bool `json:"blocks"`
}

// SelfTest is the answer to POST /api/v1/clusters/{c}/doctor/self-test.
type SelfTest struct {
	Cluster string    `json:"cluster"`
	At      time.Time `json:"at"`
	TookMS  float64   `json:"took_ms"`
	Primary string    `json:"primary"` // "" when there is none
	OK      bool      `json:"ok"`
	Legs    []Leg     `json:"legs"`
	// Problems are whole sentences; empty when OK.
	Problems []string `json:"problems"`
}

// Leg is one direction of replication.
type Leg struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Reverse is true for the link from a standby to the primary. Nothing is written for it: its threads, coordinates and
	// heartbeats prove it.
	Reverse bool `json:"reverse"`
	OK      bool `json:"ok"`
	// RoundTripMS is the time from the begin of the write until the row was seen; 0 on a reverse leg.
	RoundTripMS float64 `json:"round_trip_ms"`
	// DriftMS is how far the clock of To is ahead of that of From.
	DriftMS  float64  `json:"drift_ms"`
	Evidence []string `json:"evidence"`
}
