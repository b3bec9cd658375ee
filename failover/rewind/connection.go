package rewind

import (
	"database/sql"
	"database/sql/driver"
)

// discard ends the connection, whose session has been changed, instead of giving it back to its pool.
func discard(c *sql.Conn) {
	_ = c.Raw(func(any) error { return driver.ErrBadConn })
	_ = c.Close()
}
