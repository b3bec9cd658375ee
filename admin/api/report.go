package api

import "time"

// Report is the answer to GET /api/v1/clusters/{c}/report/{operation}: all that the journal knows of one operation.
type Report struct {
	Operation string `json:"operation"`
	Cluster   string `json:"cluster"`
	// What is switchover, failover or rejoin.
	What string `json:"what"`
	// Outcome is completed, dry_run, refused, aborted or unresolved; "" while it is not over, or when the process ended
	// in the middle of it.
	Outcome string `json:"outcome"`
	By      string `json:"by"`
	DryRun  bool   `json:"dry_run"`
	From    string `json:"from"`
	To      string `json:"to"`
	Epoch   uint64 `json:"epoch"`
	// Began and Ended are moments of the proxy's clock; Ended is null while Outcome is "".
	Began   time.Time  `json:"began"`
	Ended   *time.Time `json:"ended"`
	TookMS  float64    `json:"took_ms"`
	Reasons []string   `json:"reasons"`
	// Clients is what clients saw; null while it is not known.
	Clients *Clients `json:"clients"`
	// Fence and Loss are those of a failover; "" and null where it did not come to that.
	Fence string `json:"fence"`
	Loss  *Loss  `json:"loss"`
	// Returned is what was found out in a rejoin, null for other operations.
	Returned *Returned `json:"returned"`
	// Before are the verdicts and changes of state that led to it, Steps what was done, oldest first.
	Before []Event `json:"before"`
	Steps  []Event `json:"steps"`
	// Refused are the newest refusals since then, oldest first; only where the operation was asked for as last.
	Refused []Event `json:"refused,omitempty"`
}

// Clients is what clients saw of an operation.
type Clients struct {
	// PauseMS is how long no client could write.
	PauseMS float64 `json:"pause_ms"`
	// Moved and Closed count sessions; Because names the reasons of those that were closed.
	Moved   int    `json:"moved"`
	Closed  int    `json:"closed"`
	Because string `json:"because"`
}

// Returned is what a rejoin found out about a server.
type Returned struct {
	Server  string `json:"server"`
	Method  string `json:"method"`
	Verdict string `json:"verdict"`
	// Errant counts the transactions that only the server had; -1 when that was not found out.
	Errant int    `json:"errant"`
	Undone string `json:"undone,omitempty"`
}
