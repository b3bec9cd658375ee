package binlog

import (
	"crypto/tls"
	"time"

	"github.com/onewriter/onewriter/internal/gtid"
)

// Source is the server whose binary log is read, and the account that reads it (REPLICATION SLAVE).
type Source struct {
	Address  string // host:port
	User     string
	Password string
	TLS      *tls.Config // nil: not encrypted
	Flavor   string      // "mariadb" or "mysql"
	ServerID uint32      // that of the reader; no replica may have it
}

// ChangeKind is what happened to a row.
type ChangeKind uint8

// The kinds of changes.
const (
	Insert ChangeKind = iota
	Update
	Delete
)

// Column is one column of a changed row.
type Column struct {
	Name string
}

// Change is one changed row.
type Change struct {
	Schema, Table string
	Kind          ChangeKind
	Columns       []Column
	Before, After []any // nil where there is none
}

// Transaction is one transaction of the binary log.
type Transaction struct {
	GTID   string        // "" where the server has none
	Server uint32        // server_id of the server that wrote it first
	Place  gtid.Position // where it starts in this server's log
	End    gtid.Position
	At     time.Time // by the server's clock, to the second
	// Changes are the row changes; Statements what is no row change: DDL and statement-format changes.
	Changes    []Change
	Statements []string
	Partial    bool // binlog_row_image was not FULL
}
