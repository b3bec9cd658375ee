package sqlclass

import (
	"math/bits"
	"strings"
)

// Effect is a set of things a statement may do to its session or its server.
type Effect uint64

// The effects. "may" is to be read in each of them.
const (
	// UserVariable assigns @variables: SET @v, :=, SELECT ... INTO @v, OUT
	// parameters of CALL, LOAD DATA (@v), GET DIAGNOSTICS @v, EXECUTE ... USING.
	UserVariable Effect = 1 << iota
	// SetVariable assigns session variables, with or without a scope written.
	SetVariable
	// SetNames is SET NAMES, SET CHARACTER SET or SET CHARSET. The server's
	// trackers leave collation_connection out.
	SetNames
	// SetTransaction is SET [SESSION] TRANSACTION.
	SetTransaction
	// SetRole is SET ROLE.
	SetRole
	// SetPassword is SET PASSWORD.
	SetPassword
	// SetStatement is MariaDB's SET STATEMENT v=x FOR: variables that hold for
	// this statement only, which the server restores without saying so at once.
	SetStatement
	// PinnedVariable assigns timestamp, insert_id or rand_seed1/2, whose values
	// the trackers report stale or as 0.
	PinnedVariable
	// TrackerVariable assigns a session_track_* variable: the proxy's own
	// tracking has to be put back.
	TrackerVariable
	// Untracked changes session state that nothing reports and nothing rebuilds:
	// SET RESOURCE GROUP, SET SESSION AUTHORIZATION, BINLOG '...'.
	Untracked
	// Unclear is set when the text could not be followed to its end (an open
	// quote or comment, an unknown statement, compound statements, text prepared
	// from an expression): it may do anything.
	Unclear
	// Opaque runs code that is not in the text: CALL, EXECUTE.
	Opaque
	// UnknownFunction calls a function that is not known as part of the server:
	// a stored or loadable function.
	UnknownFunction

	// TempTable creates a temporary table or sequence.
	TempTable
	// TempTableDrop is DROP TEMPORARY.
	TempTableDrop
	// NamedLock takes a named lock: GET_LOCK and the locking service functions.
	NamedLock
	// NamedLockRelease releases one named lock.
	NamedLockRelease
	// NamedLockReleaseAll releases all named locks: RELEASE_ALL_LOCKS.
	NamedLockReleaseAll
	// HandlerOpen is HANDLER ... OPEN.
	HandlerOpen
	// HandlerClose is HANDLER ... CLOSE.
	HandlerClose
	// TableLock is LOCK TABLES.
	TableLock
	// TableUnlock is UNLOCK TABLES, which also ends FLUSH TABLES WITH READ LOCK.
	TableUnlock
	// GlobalReadLock is FLUSH TABLES ... WITH READ LOCK or FOR EXPORT, LOCK
	// INSTANCE, LOCK BINLOG, BACKUP STAGE and BACKUP LOCK.
	GlobalReadLock

	// TextPrepare is PREPARE. The effects of the prepared text are included.
	TextPrepare
	// TextExecute is EXECUTE and EXECUTE IMMEDIATE; the effects of the text of
	// the latter are included.
	TextExecute
	// TextDeallocate is DEALLOCATE PREPARE or DROP PREPARE.
	TextDeallocate

	// XABegin is XA START.
	XABegin
	// XAPrepare is XA PREPARE. MySQL clears its status bit here, though the
	// session stays bound to the branch.
	XAPrepare
	// XAFinish is XA COMMIT or XA ROLLBACK.
	XAFinish

	// LastInsertIDSet sets LAST_INSERT_ID by an expression or by assignment of
	// last_insert_id or identity.
	LastInsertIDSet
	// SequenceNext takes a value from a sequence: it writes, and sets LASTVAL.
	SequenceNext

	// ForUpdate takes row locks: FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE.
	ForUpdate
	// IntoOutfile writes a file of the server.
	IntoOutfile
	// KillThread is KILL: see [KillTarget].
	KillThread
	// Multi says that the text holds more than one statement.
	Multi

	effectEnd
)

// harmless are the effects a read-only statement may have.
const harmless = SetStatement | Multi

var effectNames = [...]string{
	"user_variable", "set_variable", "set_names", "set_transaction", "set_role", "set_password",
	"set_statement", "pinned_variable", "tracker_variable", "untracked", "unclear", "opaque",
	"unknown_function", "temp_table", "temp_table_drop", "named_lock", "named_lock_release",
	"named_lock_release_all", "handler_open", "handler_close", "table_lock", "table_unlock",
	"global_read_lock", "text_prepare", "text_execute", "text_deallocate", "xa_begin",
	"xa_prepare", "xa_finish", "last_insert_id_set", "sequence_next", "for_update",
	"into_outfile", "kill_thread", "multi",
}

// Has reports whether any of the effects in mask is set.
func (e Effect) Has(mask Effect) bool { return e&mask != 0 }

// String lists the effects in lower case, separated by commas; none is "-".
func (e Effect) String() string {
	if e == 0 {
		return "-"
	}
	names := make([]string, 0, bits.OnesCount64(uint64(e)))
	for i := range effectNames {
		if e&(1<<i) != 0 {
			names = append(names, effectNames[i])
		}
	}
	return strings.Join(names, ",")
}
