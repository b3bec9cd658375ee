package demo

// Result is what the demo found. Its JSON names are a contract with scripts.
type Result struct {
	Flavor        string `json:"flavor"`
	ServerVersion string `json:"server_version"`
	// PromiseHeld is true when nothing was lost, no client saw an error, the servers are equal and the role has moved.
	PromiseHeld bool `json:"promise_held"`
	// Acknowledged counts the rows that a client was told to be written.
	Acknowledged int `json:"acknowledged"`
	// Lost counts acknowledged rows that are not on both servers.
	Lost int `json:"lost"`
	// ClientErrors counts the errors that the clients' driver returned, of writers and readers.
	ClientErrors int `json:"client_errors"`
	// Reconnects counts the connections that the clients' pools had to open again.
	Reconnects int `json:"reconnects"`
	// Reads counts the queries of the readers.
	Reads int `json:"reads"`
	// Switchovers counts those that completed, SwitchoversFailed those that were refused or undone.
	Switchovers       int `json:"switchovers"`
	SwitchoversFailed int `json:"switchovers_failed"`
	// SessionsClosed counts the sessions that switchovers had to end.
	SessionsClosed int `json:"sessions_closed"`
	// PausesMS is how long each switchover kept writes waiting, as it says itself.
	PausesMS []float64 `json:"pauses_ms"`
	// LongestPauseMS is the longest time between two acknowledged writes of any clients, as they saw it.
	LongestPauseMS float64 `json:"longest_pause_ms"`
	// LongestPauseAtS is when that began, in seconds after the start of the load, and LongestPauseInSwitchover tells
	// whether the role moved meanwhile. If not, it was the servers or the machine that paused.
	LongestPauseAtS          float64 `json:"longest_pause_at_s"`
	LongestPauseInSwitchover bool    `json:"longest_pause_in_switchover"`
	// LongestSwitchoverPauseMS is the longest pause, as the clients saw it, while the role moved.
	LongestSwitchoverPauseMS float64 `json:"longest_switchover_pause_ms"`
	// Seconds is how long the load ran.
	Seconds float64 `json:"seconds"`
	// Rows counts the rows on each server, WrittenBy those that each server has written itself.
	Rows      map[string]int `json:"rows"`
	WrittenBy map[string]int `json:"written_by"`
	// WrongWriter counts rows written by a server at a time when it was not the primary.
	WrongWriter int `json:"wrong_writer"`
	// ChecksumsEqual compares CHECKSUM TABLE of both servers.
	ChecksumsEqual bool              `json:"checksums_equal"`
	Checksums      map[string]string `json:"checksums"`
	// Primary is the server that is written to at the end.
	Primary string `json:"primary"`
	// Errors are the first few errors of clients and switchovers, or why the demo failed.
	Errors []string `json:"errors"`
}

// maxErrors is how many errors are kept for Result.Errors.
const maxErrors = 10

// empty is a result in which nothing was found yet.
func empty(flavor string) Result {
	return Result{
		Flavor: flavor, PausesMS: []float64{}, Rows: map[string]int{}, WrittenBy: map[string]int{}, Checksums: map[string]string{}, Errors: []string{},
	}
}

// held judges the result. A switchover that was refused or undone breaks no promise.
func (r Result) held() bool {
	return r.Acknowledged > 0 && r.Lost == 0 && r.ClientErrors == 0 && r.WrongWriter == 0 && r.Switchovers > 0 &&
		r.ChecksumsEqual && r.rowsEqual()
}

func (r Result) rowsEqual() bool {
	first := -1
	for _, n := range r.Rows {
		if first >= 0 && n != first {
			return false
		}
		first = n
	}
	return first >= 0
}

// addError keeps the first errors.
func (r *Result) addError(text string) {
	if len(r.Errors) < maxErrors {
		r.Errors = append(r.Errors, text)
	}
}
