package session

import "strings"

// Pin is a set of reasons why a session cannot be rebuilt on another server. The zero Pin means that it can.
type Pin uint32

// The reasons. Unless said otherwise one stays until COM_RESET_CONNECTION or COM_CHANGE_USER.
const (
	PinTempTable    Pin = 1 << iota // a temporary table was created
	PinUserVariable                 // user variables whose values cannot be read, or were lost with the server connection
	PinNamedLock                    // GET_LOCK; until the last one is released
	PinHandler                      // HANDLER .. OPEN
	PinGlobalLock                   // FLUSH TABLES WITH READ LOCK, LOCK INSTANCE, BACKUP STAGE
	PinTableLock                    // LOCK TABLES; until UNLOCK TABLES or a transaction
	PinXA                           // an XA transaction that is prepared but not yet committed or rolled back
	PinCursor                       // a server-side cursor is open; until it is read or closed
	PinLongData                     // more long data (COM_STMT_SEND_LONG_DATA) awaits its execution than is kept
	PinClock                        // SET timestamp, insert_id or rand_seed: values the server reports wrongly
	PinInsertID                     // LAST_INSERT_ID was set by an expression and lost with the server connection
	PinRoutine                      // a routine changed session state that the server does not name
	PinUnknown                      // session state changed and nothing explains how
	PinUninspected                  // a statement was too long to be inspected, or a prepared one to be kept; until that is closed
	PinReplication                  // the connection streams the binary log
	PinAuth                         // the account's authentication plugin leaves no secret for another login
	PinCommand                      // a command was sent that nobody here knows
	PinExpired                      // logged in with an expired password, which another login could not use
)

var pinKinds = []string{
	"temporary_table", "user_variable", "named_lock", "handler", "global_lock", "table_lock", "xa", "cursor", "long_data",
	"clock", "insert_id", "routine", "unknown", "uninspected", "replication", "authentication", "command", "expired_password",
}

var pinReasons = []string{
	"temporary table", "user variable", "named lock (GET_LOCK)", "open handler", "global or instance lock",
	"table lock (LOCK TABLES)", "prepared XA transaction", "open cursor", "pending long data",
	"timestamp, insert_id or rand_seed was set", "LAST_INSERT_ID was set by an expression",
	"a routine changed session state", "unexplained change of session state", "statement too long to inspect or to keep",
	"binary log stream", "authentication plugin allows no second login", "unknown command", "logged in with an expired password",
}

// Kinds lists what pins the session, one word each, in the order of Reasons.
func (p Pin) Kinds() []string { return p.pick(pinKinds) }

// Reasons lists what pins the session, in words for its user.
func (p Pin) Reasons() []string { return p.pick(pinReasons) }

func (p Pin) pick(from []string) []string {
	var out []string
	for i, r := range from {
		if p&(1<<i) != 0 {
			out = append(out, r)
		}
	}
	return out
}

// String joins the reasons, "" when there are none.
func (p Pin) String() string { return strings.Join(p.Reasons(), ", ") }
