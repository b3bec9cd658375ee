package demo

// Result is what `onewriter demo --output json` prints. Field names are a contract with scripts.
type Result struct {
	Flavor   string   `json:"flavor"`
	Versions []string `json:"versions"` // of the servers
	// DSN is the data source name of the clients.
	DSN string `json:"dsn"`
	// Seconds is how long the load ran.
	Seconds float64 `json:"seconds"`
	// Acknowledged counts the rows that clients were told to be written, Lost those of them that a server lacks.
	Acknowledged int64 `json:"acknowledged"`
	Lost         int64 `json:"lost"`
	// Reads counts the queries answered.
	Reads        int64    `json:"reads"`
	ClientErrors int64    `json:"client_errors"`
	Errors       []string `json:"errors,omitempty"` // the first of them, and what else went wrong
	// Switchovers counts the completed ones, FailedSwitchovers the refused and aborted ones.
	Switchovers       int `json:"switchovers"`
	FailedSwitchovers int `json:"failed_switchovers"`
	// LongestPauseMS is the longest time between two acknowledgements in the whole run, whichever client got them.
	LongestPauseMS float64 `json:"longest_pause_ms"`
	// PausesMS is the same around each switchover, ReportedPausesMS what the proxy says about it.
	PausesMS         []float64 `json:"pauses_ms"`
	ReportedPausesMS []float64 `json:"reported_pauses_ms"`
	// SessionsMoved and SessionsClosed are sums over all switchovers.
	SessionsMoved  int `json:"sessions_moved"`
	SessionsClosed int `json:"sessions_closed"`
	// ChecksumsEqual tells whether the servers hold the same rows.
	ChecksumsEqual bool `json:"checksums_equal"`
	// Misplaced counts rows written on a server that was not primary at that time, of the Placed rows that this was
	// checked for; the others were written around a switchover, when either may be right.
	Misplaced int64 `json:"misplaced"`
	Placed    int64 `json:"placed"`
	// Primary is the primary at the end.
	Primary      string           `json:"primary"`
	RowsByServer map[string]int64 `json:"rows_by_server"`
	RowsByEpoch  map[uint64]int64 `json:"rows_by_epoch"`
	// Held is the verdict.
	Held bool `json:"promise_held"`
}

// Broken says in words what keeps the promise from having held; empty means that it held.
func (r *Result) Broken() []string {
	var out []string
	for _, c := range []struct {
		broken bool
		text   string
	}{
		{r.Acknowledged == 0, "no write was acknowledged"},
		{r.Lost > 0, "acknowledged rows are missing"},
		{r.ClientErrors > 0, "clients saw errors"},
		{!r.ChecksumsEqual, "the servers do not hold the same rows"},
		{r.Misplaced > 0, "rows were written on a server that was not primary"},
		{r.Switchovers == 0, "no switchover was completed"},
		{r.FailedSwitchovers > 0, "a switchover failed"},
		{r.SessionsClosed > 0, "sessions were closed"},
	} {
		if c.broken {
			out = append(out, c.text)
		}
	}
	return out
}
