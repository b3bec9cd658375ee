package session

import (
	"slices"
	"strings"

	"github.com/onewriter/onewriter/internal/sqlclass"
	"github.com/onewriter/onewriter/internal/wire"
)

// trackers are the session trackers that the client has on. The server has more on, for the proxy; what they report is
// taken out again, because drivers may misread what they did not ask for (mariadb-connector-nodejs loses the schema).
// The schema and, of MySQL, the GTID are reported as the server is configured.
type trackers struct {
	everything bool // what the client set could not be followed
	state      bool
	noSchema   bool
	// txn is the state of the transaction. MySQL reports its beginning and end until the tracker is set to OFF, although
	// the variable says that it is (seen on 9.7.4); here OFF means off from the start.
	txn       bool
	txnChars  bool     // and its characteristics
	variables []string // names in lower case, nil for those of the servers' default
	all       bool     // variables are '*'
}

// usualVariables are those of session_track_system_variables as compiled into both servers; redirect_url is MariaDB's.
var usualVariables = []string{
	"autocommit", "character_set_client", "character_set_connection", "character_set_results", "redirect_url", "time_zone",
}

// redirects reports whether e tells the client to connect elsewhere (MariaDB 11.3 and newer): round the proxy, to a server that
// need not be the primary for long.
func redirects(e wire.TrackEntry) bool {
	return e.Kind == wire.TrackVariable && len(e.Value) > 0 && string(e.Name) == "redirect_url"
}

// wants reports whether the client is to see e.
func (t *trackers) wants(e wire.TrackEntry) bool {
	switch {
	case redirects(e):
		return false
	case t.everything:
		return true
	case e.Kind == wire.TrackState:
		return t.state
	case e.Kind == wire.TrackSchema:
		return !t.noSchema
	case e.Kind == wire.TrackTxnState:
		return t.txn
	case e.Kind == wire.TrackTxnChars:
		return t.txnChars
	case e.Kind == wire.TrackVariable:
		return t.all || t.named(e.Name)
	default:
		return true
	}
}

// more reports whether the client asked for more than servers do by default.
func (t *trackers) more() bool {
	return t.everything || t.state || t.txn || t.txnChars || t.all || t.variables != nil
}

func (t *trackers) named(name []byte) bool {
	list := t.variables
	if list == nil {
		list = usualVariables
	}
	for _, v := range list {
		if v == string(name) {
			return true
		}
	}
	return false
}

// learn takes over what the SET statements in text do to the trackers; the statement has succeeded if ok.
func (t *trackers) learn(text []byte, o sqlclass.Options, ok bool) {
	sets, followed := sqlclass.SessionSets(text, o)
	if !ok || !followed {
		t.everything = true
		return
	}
	for _, s := range sets {
		if s.Scope == sqlclass.ScopeSession && strings.HasPrefix(s.Name, "session_track_") {
			t.set(s.Name, s)
		}
	}
}

func (t *trackers) set(name string, s sqlclass.Assignment) {
	if !s.Literal {
		t.open(name)
		return
	}
	value := strings.ToLower(strings.Trim(s.Value, `'"`))
	usual := value == "default"
	switch name {
	case "session_track_state_change":
		t.state = value == "on" || value == "1" || value == "true"
	case "session_track_schema":
		t.noSchema = value == "off" || value == "0" || value == "false"
	case "session_track_transaction_info":
		t.txn = value == "state" || value == "characteristics" || value == "1" || value == "2"
		t.txnChars = value == "characteristics" || value == "2"
	case "session_track_system_variables":
		t.variables, t.all = nil, value == "*"
		if !usual && !t.all {
			t.variables = names(value)
			t.everything = t.everything || len(t.variables) > maxNamed
		}
	}
}

// open lets all of a tracker's reports through, because the value that the client has given it is not in the text.
func (t *trackers) open(name string) {
	switch name {
	case "session_track_state_change":
		t.state = true
	case "session_track_schema":
		t.noSchema = false
	case "session_track_transaction_info":
		t.txn, t.txnChars = true, true
	case "session_track_system_variables":
		t.variables, t.all = nil, true
	}
}

// maxNamed is how many variables a client can name as those to report. One that names more is told everything.
const maxNamed = 1000

// names are the words of a list with commas, maxNamed+1 at most; never nil.
func names(list string) []string {
	out := []string{}
	for n := range strings.SplitSeq(list, ",") {
		if n = strings.TrimSpace(n); n != "" && len(out) <= maxNamed && !slices.Contains(out, n) {
			out = append(out, strings.Clone(n))
		}
	}
	return out
}

// learnTrackers is for a command that has set trackers of the client's.
func (c *Core) learnTrackers() {
	switch {
	case !c.effects.Has(sqlclass.TrackerVariable) || c.saw.failed && !c.effects.Has(sqlclass.Multi):
	case c.cmd.Code != wire.ComQuery:
		c.asked.everything = true // the text of a prepared statement is not at hand
	default:
		c.asked.learn(c.scratch, c.lexed, !c.saw.failed)
	}
}
