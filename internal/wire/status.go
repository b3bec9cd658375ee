package wire

// Status is the server status word of OK and EOF packets.
type Status uint16

// Status flags (SERVER_STATUS_* of the protocol documentation).
const (
	StatusInTrans             Status = 0x0001
	StatusAutocommit          Status = 0x0002
	StatusMoreResults         Status = 0x0008
	StatusCursorExists        Status = 0x0040
	StatusLastRowSent         Status = 0x0080
	StatusNoBackslashEscapes  Status = 0x0200
	StatusPSOutParams         Status = 0x1000
	StatusInTransReadonly     Status = 0x2000
	StatusSessionStateChanged Status = 0x4000
	StatusAnsiQuotes          Status = 0x8000 // MariaDB
)

// Has reports whether all bits of f are set.
func (s Status) Has(f Status) bool { return s&f == f }

// HasCursor reports whether s, of an answer to an execution that asked for a cursor, says that there is one. Nothing follows such
// an answer: with StatusMoreResults the flag is of a cursor in a routine.
func (s Status) HasCursor() bool { return s.Has(StatusCursorExists) && !s.Has(StatusMoreResults) }
