package api

// SwitchoverRequest is the body of POST /api/v1/clusters/{c}/switchover. An empty object is legal.
type SwitchoverRequest struct {
	// To is the name of the new primary; "" lets onewriter choose the best standby.
	To string `json:"to,omitempty"`
	// DryRun checks and predicts but changes nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// Switchover is the answer with status 200.
type Switchover struct {
	ID    string `json:"id"`
	From  string `json:"from"`
	To    string `json:"to"`
	Epoch uint64 `json:"epoch"` // after the operation
	// Outcome is completed or dry_run.
	Outcome string `json:"outcome"`
	// PauseMS is how long no client could write.
	PauseMS       float64 `json:"pause_ms"`
	Phases        []Phase `json:"phases"`
	SessionsMoved int     `json:"sessions_moved"`
	// SessionsClosed are the sessions that could not be carried over, after a dry run those that could not be now; by the
	// connection id that their clients know.
	SessionsClosed []ClosedSession `json:"sessions_closed"`
	Warnings       []string        `json:"warnings,omitempty"`
	// PredictedPauseMS and Blockers are set by a dry run only.
	PredictedPauseMS float64   `json:"predicted_pause_ms,omitempty"`
	Blockers         []Blocker `json:"blockers,omitempty"`
}

// Phase is one step of a switchover.
type Phase struct {
	Name string  `json:"name"`
	MS   float64 `json:"ms"`
}

// ClosedSession is a client session that had to be ended.
type ClosedSession struct {
	ID     uint64 `json:"id"` // the connection id that the client was told when it connected, as in Session.HandshakeID
	Reason string `json:"reason"`
}

// Blocker is a session on the primary that would lengthen the pause or be ended.
type Blocker struct {
	ID      uint64  `json:"id"` // the server's connection id
	User    string  `json:"user"`
	Host    string  `json:"host"`
	Seconds float64 `json:"seconds"`
	Reason  string  `json:"reason"`
}

// Problem is the body of every answer with a status from 400 on (RFC 9457).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Reasons are whole sentences.
	Reasons []string `json:"reasons"`
	// Operation is the id of the operation that was aborted, if any.
	Operation string `json:"operation,omitempty"`
	// Phase is the step in which an operation was aborted, if any.
	Phase string `json:"phase,omitempty"`
	// Unresolved is true when it is not certain yet that the old primary serves again.
	Unresolved bool `json:"unresolved,omitempty"`
	// Rejoin is what was found out about a server whose return was refused.
	Rejoin *Rejoin `json:"rejoin,omitempty"`
}
