// Package flavor speaks the replication dialects of MySQL (5.6 to 9) and MariaDB: how a server tells its position
// and its links, how it is made read-only, how one waits for a position, how a link is stopped and pointed elsewhere.
//
// All statements run on the connection the caller gives. Every call wants a context with a deadline; when it runs
// out the driver closes the connection, but a MySQL server may still execute the statement later.
// Connections must be opened without NO_BACKSLASH_ESCAPES in sql_mode.
package flavor
