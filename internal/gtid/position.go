package gtid

// Position is a place in a replication history. The zero value is "unknown". Values are immutable.
type Position struct{ text string }

// String gives the server's own notation.
func (p Position) String() string { return p.text }
