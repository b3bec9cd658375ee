package flavor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"
)

// Session is one client session of a server as its process list and its engine show it.
type Session struct {
	ID      uint64
	User    string
	Host    string // host:port of the client, or localhost
	Command string // Sleep, Query, Execute, ...
	Time    time.Duration
	State   string
	Info    string // the running statement, at most 100 characters
	// InTransaction: an InnoDB transaction is open, even if it has only read so far. A single autocommit SELECT
	// that locks nothing is not counted.
	InTransaction bool
	// Wrote: that transaction has changed rows; HoldsLocks: it holds row locks or intention locks.
	Wrote      bool
	HoldsLocks bool
	// LocksTables: it holds LOCK TABLES, FLUSH TABLES ... or DDL locks. MySQL 8 shows that, MariaDB only with the
	// plugin metadata_lock_info; elsewhere it is false and an idle session may hold LOCK TABLES unseen.
	LocksTables bool
	// AutocommitReadOnly: it runs a statement that only reads, outside a transaction that wrote or locked.
	AutocommitReadOnly bool
	// Privileged: an account of that user name may write in spite of read_only (SUPER, READ_ONLY ADMIN).
	Privileged bool
	// System and Replication mark threads of the server itself; Sessions leaves them out.
	System      bool
	Replication bool
}

// Blocking is how a session can stand in the way of a fence. The string form is a metric label.
type Blocking uint8

// The answers of Session.Blocks.
const (
	BlocksNot      Blocking = iota // it only reads, or it waits for nothing and holds nothing that is seen
	BlocksPossibly                 // idle: it may hold LOCK TABLES ... WRITE where the server does not show that
	BlocksSurely                   // it runs a write, or holds locks that others or the fence wait for
)

var blockingNames = [...]string{"not", "possibly", "surely"}

// String gives the lower-case name.
func (b Blocking) String() string {
	if int(b) < len(blockingNames) {
		return blockingNames[b]
	}
	return blockingNames[BlocksNot]
}

// Blocks judges whether s can keep SET GLOBAL read_only waiting, directly or through a chain of row locks.
func (s Session) Blocks() Blocking {
	switch {
	case s.System || s.Replication:
		return BlocksNot
	case s.LocksTables || s.Wrote || s.HoldsLocks:
		return BlocksSurely
	case s.AutocommitReadOnly:
		return BlocksNot
	case s.Command == "Sleep":
		return BlocksPossibly
	default:
		return BlocksSurely
	}
}

// sessionColumns asks the process list and InnoDB together. innodb_trx may be 0.1 s old. %s is a condition that
// leaves out the server's own threads.
const sessionQuery = `SELECT p.id AS id, p.user AS user, p.host AS host, p.command AS command, p.time AS seconds,
p.state AS state, LEFT(p.info, 100) AS info, t.trx_mysql_thread_id IS NOT NULL AS in_trx,
t.trx_rows_modified AS modified, t.trx_rows_locked + t.trx_lock_structs AS locks,
t.trx_autocommit_non_locking AS plain
FROM information_schema.processlist p
LEFT JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id
WHERE ` + ordinary

// ordinary leaves out our own session and the server's threads.
const ordinary = `p.id <> CONNECTION_ID() AND p.user NOT IN ('system user', 'event_scheduler', 'unauthenticated user')
AND p.command NOT LIKE 'Binlog Dump%' AND p.command NOT LIKE 'Slave\_%'
AND p.command NOT IN ('Daemon', 'Register Slave', 'Register Replica', 'Connect')`

// sessions lists client sessions; locked has the ids that are known to hold table locks, byRole accounts that pass
// read_only because of a role.
func sessions(ctx context.Context, q Querier, locked map[uint64]bool, byRole []account) ([]Session, error) {
	rs, err := records(ctx, q, sessionQuery)
	if err != nil {
		return nil, fmt.Errorf("read the process list: %w", err)
	}
	privileged, err := privilegedUsers(ctx, q, byRole)
	if err != nil {
		return nil, err
	}
	out := make([]Session, 0, len(rs))
	for _, r := range rs {
		s := sessionOf(r)
		s.LocksTables = locked[s.ID]
		s.Privileged = privileged[s.User]
		out = append(out, s)
	}
	return out, nil
}

// privilegedSessions lists those of sessions whose user names pass read_only, without their transactions and locks. Of
// thousands of sessions it fetches only these: it is asked for while clients wait.
func privilegedSessions(ctx context.Context, q Querier, byRole []account) ([]Session, error) {
	users, err := privilegedUsers(ctx, q, byRole)
	if err != nil || len(users) == 0 {
		return nil, err
	}
	names := make([]any, 0, len(users))
	for u := range users {
		names = append(names, u)
	}
	rs, err := records(ctx, q, `SELECT p.id AS id, p.user AS user, p.host AS host, p.command AS command FROM information_schema.processlist p
WHERE p.user IN (?`+strings.Repeat(", ?", len(names)-1)+`) AND `+ordinary, names...)
	if err != nil {
		return nil, fmt.Errorf("read the process list: %w", err)
	}
	out := make([]Session, 0, len(rs))
	for _, r := range rs {
		out = append(out, Session{ID: r.uint("id"), User: r.str("user"), Host: r.str("host"), Command: r.str("command"), Privileged: true})
	}
	return out, nil
}

func sessionOf(r record) Session {
	s := Session{
		ID: r.uint("id"), User: r.str("user"), Host: r.str("host"), Command: r.str("command"),
		Time:  time.Duration(r.uint("seconds")) * time.Second,
		State: r.str("state"), Info: r.str("info"),
		Wrote: r.uint("modified") > 0, HoldsLocks: r.uint("locks") > 0,
	}
	plain := r.bool("plain")
	s.InTransaction = r.bool("in_trx") && !plain
	s.AutocommitReadOnly = s.Command != "Sleep" && !s.Wrote && !s.HoldsLocks && (plain || readOnlyText(s.Info))
	return s
}

// readOnlyText recognises statements that only read by their first word. A SELECT that calls a writing function or
// locks rows is seen by its transaction instead.
func readOnlyText(info string) bool {
	fields := strings.Fields(strings.ToUpper(info))
	if len(fields) == 0 {
		return false
	}
	switch strings.TrimLeft(fields[0], "(") {
	case "SHOW", "DESC", "DESCRIBE", "USE", "SET":
		return !strings.Contains(strings.ToUpper(info), "GLOBAL")
	case "SELECT":
		return !strings.Contains(strings.ToUpper(info), "FOR UPDATE")
	default:
		return false
	}
}

// privilegedUsers gives the user names that pass read_only by what they hold themselves, and those byRole; empty when the
// account may not look.
func privilegedUsers(ctx context.Context, q Querier, byRole []account) (map[string]bool, error) {
	accounts, err := privilegedGrantees(ctx, q, "'SUPER', 'READ_ONLY ADMIN', 'READ ONLY ADMIN'")
	if err != nil {
		return nil, err
	}
	users := make(map[string]bool, len(accounts))
	for _, a := range append(accounts, byRole...) {
		users[a.user] = true
	}
	return users, nil
}

// refusedNumbers are the errors of a server that does not let us look, or has no such table.
func refused(err error) bool {
	var e *driver.MySQLError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Number {
	case 1044, 1045, 1109, 1142, 1143, 1146, 1227, 3559:
		return true
	default:
		return false
	}
}

// idSet runs a query for connection ids; a refusal gives none.
func idSet(ctx context.Context, q Querier, query string) (map[uint64]bool, error) {
	rs, err := records(ctx, q, query)
	if err != nil {
		if refused(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("read the table locks: %w", err)
	}
	ids := make(map[uint64]bool, len(rs))
	for _, r := range rs {
		ids[r.uint("id")] = true
	}
	return ids, nil
}

// Sessions implements Attendant.
func (d *mariadb) Sessions(ctx context.Context, q Querier) ([]Session, error) {
	var locked map[uint64]bool
	if d.lockTable {
		var err error
		locked, err = idSet(ctx, q, `SELECT DISTINCT thread_id AS id FROM information_schema.metadata_lock_info
WHERE lock_mode IN ('MDL_SHARED_NO_READ_WRITE', 'MDL_SHARED_READ_ONLY', 'MDL_SHARED_NO_WRITE', 'MDL_EXCLUSIVE',
'MDL_BACKUP_FTWRL1', 'MDL_BACKUP_FTWRL2', 'MDL_BACKUP_DDL', 'MDL_BACKUP_START')`)
		if err != nil {
			return nil, err
		}
	}
	byRole, err := roleHolders(ctx, q, superBit|readOnlyAdminBit)
	if err != nil {
		return nil, err
	}
	return sessions(ctx, q, locked, byRole)
}

// PrivilegedSessions implements Attendant.
func (d *mariadb) PrivilegedSessions(ctx context.Context, q Querier) ([]Session, error) {
	byRole, err := roleHolders(ctx, q, superBit|readOnlyAdminBit)
	if err != nil {
		return nil, err
	}
	return privilegedSessions(ctx, q, byRole)
}

// PrivilegedSessions implements Attendant.
func (d *mysql) PrivilegedSessions(ctx context.Context, q Querier) ([]Session, error) {
	return privilegedSessions(ctx, q, nil)
}

// Sessions implements Attendant.
func (d *mysql) Sessions(ctx context.Context, q Querier) ([]Session, error) {
	var locked map[uint64]bool
	if d.metaLocks {
		var err error
		locked, err = idSet(ctx, q, `SELECT DISTINCT t.processlist_id AS id FROM performance_schema.metadata_locks m
JOIN performance_schema.threads t ON t.thread_id = m.owner_thread_id
WHERE m.lock_status = 'GRANTED' AND t.processlist_id IS NOT NULL
AND (m.lock_type IN ('SHARED_NO_READ_WRITE', 'SHARED_READ_ONLY', 'SHARED_NO_WRITE', 'EXCLUSIVE')
OR m.object_type IN ('GLOBAL', 'COMMIT', 'BACKUP LOCK') AND m.lock_type IN ('SHARED'))`)
		if err != nil {
			return nil, err
		}
	}
	return sessions(ctx, q, locked, nil)
}
