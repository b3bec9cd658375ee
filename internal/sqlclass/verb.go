package sqlclass

// Verb is the kind of a statement. Its text is used as a metric label.
type Verb uint8

// The verbs. WITH is resolved to the statement behind it; DESCRIBE, DESC and
// MariaDB's ANALYZE <statement> are Explain.
const (
	Empty Verb = iota // no statement: blanks and comments only
	Other             // not recognised
	Select
	Values // VALUES as a statement
	Table  // TABLE t as a statement
	Insert
	Replace
	Update
	Delete
	LoadData // LOAD DATA, LOAD XML
	Call
	Do
	Set
	Use
	Begin // BEGIN, START TRANSACTION
	Commit
	Rollback
	Savepoint // SAVEPOINT, RELEASE SAVEPOINT, ROLLBACK TO
	XA
	Show
	Explain
	Help
	DDL     // CREATE, ALTER, DROP, RENAME, TRUNCATE of anything but accounts
	Account // GRANT, REVOKE, statements about USER and ROLE
	Lock
	Unlock
	Prepare
	Execute
	Deallocate
	Handler
	Kill
	Flush
	Diagnostics // GET DIAGNOSTICS, SIGNAL, RESIGNAL
	Compound    // MariaDB: BEGIN NOT ATOMIC, IF, LOOP ... outside a stored program
	Admin       // everything else known: OPTIMIZE, PURGE, CHANGE, SHUTDOWN ...
	verbCount
)

var verbNames = [verbCount]string{
	Empty: "empty", Other: "other", Select: "select", Values: "values", Table: "table",
	Insert: "insert", Replace: "replace", Update: "update", Delete: "delete",
	LoadData: "load_data", Call: "call", Do: "do", Set: "set", Use: "use",
	Begin: "begin", Commit: "commit", Rollback: "rollback", Savepoint: "savepoint",
	XA: "xa", Show: "show", Explain: "explain", Help: "help", DDL: "ddl",
	Account: "account", Lock: "lock", Unlock: "unlock", Prepare: "prepare",
	Execute: "execute", Deallocate: "deallocate", Handler: "handler", Kill: "kill",
	Flush: "flush", Diagnostics: "diagnostics", Compound: "compound", Admin: "admin",
}

// String returns the verb as a metric label: lower case, underscores.
func (v Verb) String() string {
	if v >= verbCount {
		return "invalid"
	}
	return verbNames[v]
}

// reads says that a statement of this verb reads only, unless an effect says
// otherwise.
func (v Verb) reads() bool {
	switch v {
	case Select, Values, Table, Do, Show, Explain, Help:
		return true
	default:
		return false
	}
}
