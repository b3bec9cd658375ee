package flavor

import (
	"context"
	"database/sql"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// Querier runs statements. *sql.Conn, *sql.DB and *sql.Tx are Queriers; what sets session state wants a *sql.Conn.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Kind names a dialect. The string form is a metric label.
type Kind uint8

// The dialects.
const (
	KindUnknown Kind = iota
	KindMariaDB
	KindMySQL56
	KindMySQL57
	KindMySQL80
	KindMySQL84 // 8.2 and newer, where the old words are gone
)

var kindNames = [...]string{"unknown", "mariadb", "mysql56", "mysql57", "mysql80", "mysql84"}

// String gives the lower-case name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[KindUnknown]
}

// Dialect is what can be asked of and done to one server. Detect makes the one that fits; the value is immutable
// and safe for concurrent use, but describes the server version it was detected on.
type Dialect interface {
	// Name is "mariadb" or "mysql".
	Name() string
	// Kind is the exact dialect.
	Kind() Kind
	// Version is the server's @@version.
	Version() string

	Observer
	Fencer
	Catcher
	Replicator
	Attendant
}

// Observer reads what a server tells of itself.
type Observer interface {
	// Observe reads all facts, links included, in two statements (three on MySQL with GTID off).
	Observe(ctx context.Context, q Querier) (topology.Facts, error)
	// ObserveAt is Observe with the position own where reading that would take the third statement and own is known.
	ObserveAt(ctx context.Context, q Querier, own gtid.Position) (topology.Facts, error)
	// Position is everything in this server's history: gtid_binlog_state joined with gtid_slave_pos on MariaDB,
	// gtid_executed on MySQL, its own binary log's file and offset on MySQL with GTID off.
	Position(ctx context.Context, q Querier) (gtid.Position, error)
	// BinlogPosition is the file and offset of the end of the server's own binary log; unknown when it has none.
	BinlogPosition(ctx context.Context, q Querier) (gtid.Position, error)
}

// Fencer opens and closes a server for writes.
type Fencer interface {
	// SetReadOnly sets super_read_only (which sets read_only too) where the server has it, else read_only. It waits
	// for running writes and LOCK TABLES; bound it with LockWaitTimeout, then error 1205 is the answer. After any
	// error Kill this connection from another one and read both flags: MySQL keeps the statement queued when its
	// client goes away and fences itself later.
	SetReadOnly(ctx context.Context, q Querier) error
	// SetWritable clears super_read_only, then read_only, and verifies both.
	SetWritable(ctx context.Context, q Querier) error
	// ReadOnly reads both flags; super is false where the server has none. super without readOnly is a fence that
	// is pending.
	ReadOnly(ctx context.Context, q Querier) (readOnly, super bool, err error)
}

// Catcher waits for positions.
type Catcher interface {
	// Wait returns nil when the server's own history includes target. For a file position, target is a place in
	// the source's binary log, and Wait returns when the link has received and applied exactly up to there and both
	// threads run. The error wraps ErrApplierStopped when waiting longer makes no sense, else the context's.
	Wait(ctx context.Context, q Querier, target gtid.Position) error
	// Applied is the check of Wait without the waiting.
	Applied(ctx context.Context, q Querier, target gtid.Position) (bool, error)
}

// Replicator works on links and on semi-synchronous replication.
type Replicator interface {
	// StopReplica stops threads of the link called channel ("" is the default one). On MariaDB with GTID, stopping
	// and starting both threads deletes what was received and not applied.
	StopReplica(ctx context.Context, q Querier, channel string, which Threads) error
	// StartReplica starts threads of the link called channel.
	StartReplica(ctx context.Context, q Querier, channel string, which Threads) error
	// ResetReplica forgets the link called channel, with its coordinates and relay log. It must be stopped.
	ResetReplica(ctx context.Context, q Querier, channel string) error
	// ChangeSource points the link s.Channel to another source. It must be stopped.
	ChangeSource(ctx context.Context, q Querier, s Source) error
	// SemiSync reads the state of both sides.
	SemiSync(ctx context.Context, q Querier) (SemiSync, error)
	// SetSemiSyncSource switches the source side. Switching off what the server does not have is no error,
	// switching it on is ErrNoSemiSync.
	SetSemiSyncSource(ctx context.Context, q Querier, on bool) error
	// SetSemiSyncReplica switches the replica side; a running receiver takes it up at its next start.
	SetSemiSyncReplica(ctx context.Context, q Querier, on bool) error
}

// Attendant looks at and ends sessions.
type Attendant interface {
	// LockWaitTimeout bounds the session's waits for metadata and row locks, in whole seconds (at least 1).
	LockWaitTimeout(ctx context.Context, q Querier, seconds int) error
	// ConnectionID is the server's id of the connection behind q.
	ConnectionID(ctx context.Context, q Querier) (uint64, error)
	// Kill ends connection id. A connection that is gone already is error 1094. A session in COMMIT still commits.
	Kill(ctx context.Context, q Querier, id uint64) error
	// KillQuery ends the statement that connection id runs.
	KillQuery(ctx context.Context, q Querier, id uint64) error
	// Sessions lists ordinary client sessions other than q's own: no system threads, no replication.
	Sessions(ctx context.Context, q Querier) ([]Session, error)
	// PrivilegedSessions lists those of Sessions whose account may write in spite of read_only, as far as their names
	// tell. It does not look at transactions and locks, and is fast with thousands of sessions.
	PrivilegedSessions(ctx context.Context, q Querier) ([]Session, error)
	// PreparedXA counts XA transactions in state prepared. MySQL commits them even under super_read_only.
	PreparedXA(ctx context.Context, q Querier) (int, error)
	// PrivilegedAccounts lists accounts, as user@host, that may write in spite of read_only (SUPER, READ_ONLY
	// ADMIN) or take the reserved connection slot (CONNECTION_ADMIN), other than root@localhost, the servers' own
	// accounts, and the account behind q.
	PrivilegedAccounts(ctx context.Context, q Querier) ([]string, error)
}
