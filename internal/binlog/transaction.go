package binlog

import (
	"time"

	"github.com/onewriter/onewriter/internal/gtid"
)

// Transaction is one transaction, or one statement that commits by itself, of a binary log.
type Transaction struct {
	// GTID is uuid[:tag]:number or domain-server-sequence; "" where the server gives none.
	GTID string
	// Server is the server_id of the server that wrote it first.
	Server uint32
	// Place and End are where it begins and ends in the log that was read.
	Place, End gtid.Position
	// At is when it was committed, by the clock of the server that wrote it, to the second, UTC.
	At time.Time
	// Changes are its row changes in the order in which they were made.
	Changes []Change
	// Statements is what is in it that is no row change: DDL, DML in statement format, XA, incidents. Savepoints are
	// left out.
	Statements []string
	// Partial is true when images of rows are not complete: binlog_row_image is not FULL, or JSON columns are logged as
	// differences.
	Partial bool
}

// ChangeKind is what was done to a row. The string form is the word of the SQL statement.
type ChangeKind uint8

// The kinds of changes.
const (
	Insert ChangeKind = iota + 1
	Update
	Delete
)

var changeNames = [...]string{"unknown", "insert", "update", "delete"}

// String gives the lower-case name.
func (k ChangeKind) String() string {
	if int(k) < len(changeNames) {
		return changeNames[k]
	}
	return changeNames[0]
}

// Change is what was done to one row.
type Change struct {
	Schema, Table string
	Kind          ChangeKind
	// Columns are the columns of the table in its order. All changes of a statement share the slice.
	Columns []Column
	// Before and After are the row's images: Insert has only After, Delete only Before. Values are nil for NULL, sized
	// integers (signed, when the log does not tell), float32, float64, string (raw bytes in the column's character set;
	// decimals; dates and times, TIMESTAMP in UTC; JSON as text), []byte (blobs), int64 for BIT, ENUM and SET.
	Before, After []any
	// Missing are the indexes of the columns that an image does not have; their values are nil.
	Missing []int
	// Unreadable says why the images could not be decoded; Before and After are nil then, and one Change stands for
	// all rows of the event.
	Unreadable string
}

// Column describes a column as the binary log does.
type Column struct {
	// Name is "" unless binlog_row_metadata is FULL.
	Name string
	// Type is the type's number in the protocol, with the real one of ENUM and SET; Meta is its length or precision as
	// the table map event has it.
	Type byte
	Meta uint16
	// Unsigned is meaningful when Signedness is true: MySQL 8 always tells, MariaDB with binlog_row_metadata other than
	// NO_LOG.
	Unsigned, Signedness bool
	Nullable             bool
}
