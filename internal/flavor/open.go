package flavor

import (
	"crypto/tls"
	"database/sql"
	"fmt"
	"time"

	driver "github.com/go-sql-driver/mysql"
)

// Login is how the control account gets in.
type Login struct {
	User     string
	Password string
	// TLS encrypts the connection when it is not nil.
	TLS *tls.Config
	// Timeout bounds the dial alone, default 1 s. Statements are bounded by their contexts.
	Timeout time.Duration
}

// Settings gives the session variables, by name, that every connection of the control account sets, whatever the server
// sets for others: how a text is quoted, and that a connection which waits for its turn is still there then (28800 s is
// the servers' own default).
func Settings() map[string]string {
	return map[string]string{"sql_mode": "'STRICT_ALL_TABLES'", "wait_timeout": "28800"}
}

// Open prepares a handle on the server at address (host:port) with the session settings this package relies on. It
// does not connect yet.
func Open(address string, l Login) (*sql.DB, error) {
	c := driver.NewConfig()
	c.Net, c.Addr = "tcp", address
	c.User, c.Passwd, c.TLS = l.User, l.Password, l.TLS
	c.Timeout = l.Timeout
	if c.Timeout <= 0 {
		c.Timeout = time.Second
	}
	c.InterpolateParams = true // no prepared statements: one round trip for each statement
	c.Params = Settings()
	c.ConnectionAttributes = "program_name:onewriter-control"
	c.Logger = &driver.NopLogger{} // the errors themselves come back
	connector, err := driver.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("prepare connections to %s: %w", address, err)
	}
	return sql.OpenDB(connector), nil
}
