package api

import "time"

// History is the answer to GET /api/v1/history.
type History struct {
	Events []Event `json:"events"`
}

// EventKinds are the kinds that an Event can have.
var EventKinds = []string{"state", "verdict", "gate", "begin", "step", "end", "refused", "followed", "warning"}

// Event is one line of the journal.
type Event struct {
	Seq       uint64            `json:"seq"` // grows by one, across restarts
	At        time.Time         `json:"at"`
	Cluster   string            `json:"cluster"`
	Operation string            `json:"operation,omitempty"`
	Kind      string            `json:"kind"` // one of EventKinds
	Step      string            `json:"step,omitempty"`
	State     string            `json:"state,omitempty"`
	Epoch     uint64            `json:"epoch,omitempty"`
	Primary   string            `json:"primary,omitempty"`
	Outcome   string            `json:"outcome,omitempty"`
	MS        float64           `json:"ms,omitempty"`
	Reasons   []string          `json:"reasons,omitempty"`
	Evidence  map[string]string `json:"evidence,omitempty"`
}

// Health is the body of the health checks.
type Health struct {
	Status  string   `json:"status"` // ok or unavailable
	Reasons []string `json:"reasons,omitempty"`
	// Server and Address name the server that /primary/{c} and /standby/{c} found.
	Server  string `json:"server,omitempty"`
	Address string `json:"address,omitempty"`
}
