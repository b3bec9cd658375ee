package failover

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/onewriter/onewriter/internal/flavor"
)

// Error numbers that mean a lack of rights.
const (
	errDBAccessDenied    = 1044 // ER_DBACCESS_DENIED_ERROR
	errAccessDenied      = 1045 // ER_ACCESS_DENIED_ERROR
	errTableAccessDenied = 1142 // ER_TABLEACCESS_DENIED_ERROR
	errSpecificAccess    = 1227 // ER_SPECIFIC_ACCESS_DENIED_ERROR
)

// Further error numbers by which a server turns an account away at the login.
const (
	errHostBlocked      = 1129 // ER_HOST_IS_BLOCKED
	errHostNotAllowed   = 1130 // ER_HOST_NOT_PRIVILEGED
	errAuthMode         = 1251 // ER_NOT_SUPPORTED_AUTH_MODE
	errNoPlugin         = 1524 // ER_PLUGIN_IS_NOT_LOADED
	errNoPassword       = 1698 // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
	errPasswordExpired  = 1862 // ER_MUST_CHANGE_PASSWORD_LOGIN
	errAccountLocked    = 3118 // ER_ACCOUNT_HAS_BEEN_LOCKED (MySQL)
	errAccountLockedToo = 4151 // ER_ACCOUNT_HAS_BEEN_LOCKED (MariaDB)
)

// turnedAway reports whether a server refused a login because of who wanted to log in.
func turnedAway(err error) bool {
	return isMySQLError(err, errAccessDenied, errHostBlocked, errHostNotAllowed, errAuthMode, errNoPlugin, errNoPassword, errPasswordExpired,
		errAccountLocked, errAccountLockedToo)
}

// EnsureSchema creates the schema onewriter and its tables through db, which must be the primary; it replicates to
// the others. It writes nothing when everything is there. The error is a *SetupError when the account may not.
func EnsureSchema(ctx context.Context, server string, db *sql.DB) (created bool, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return false, fmt.Errorf("connect to %s: %w", server, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	var n int
	err = conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'onewriter' AND table_name IN ('heartbeat', 'epoch')").Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look for the schema onewriter on %s: %w", server, err)
	}
	if n == 2 {
		return false, nil
	}
	statements := flavor.SchemaSQL()
	for _, statement := range statements {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			if lacksRight(err) {
				return false, &SetupError{Server: server, SQL: statements, Err: err}
			}
			return false, fmt.Errorf("create the schema onewriter on %s: %w", server, err)
		}
	}
	return true, nil
}

// lacksRight reports whether the server refused a statement because of what the account may not do.
func lacksRight(err error) bool {
	return isMySQLError(err, errDBAccessDenied, errAccessDenied, errTableAccessDenied, errSpecificAccess)
}

// schema is the step of the same name. A denied one is kept for Run to return.
func (e *executor) schema(ctx context.Context, a actRun, ev evidence) error {
	s := e.servers[a.Op.To.Name]
	created, err := EnsureSchema(ctx, a.Op.To.Name, s.db)
	ev.add("created", "%t", created)
	var setup *SetupError
	if errors.As(err, &setup) {
		if f, connErr := s.fencing(ctx); connErr == nil { // the rights that it lacks as well
			setup.SQL = SetupSQL(f.Dialect.Name(), e.cfg.ControlUser)
		}
		e.denied = setup
	}
	return err
}

// SetupSQL lists what an administrator runs on the primary, and by replication on all servers, before onewriter is
// used: the schema, and the control account with its grants. flavorName is "mariadb" or "mysql". The password is
// left for the administrator to fill in.
func SetupSQL(flavorName, controlUser string) []string {
	account := "'" + strings.ReplaceAll(controlUser, "'", "''") + "'@'%'"
	out := append([]string{}, flavor.SchemaSQL()...)
	out = append(out, "CREATE USER IF NOT EXISTS "+account+" IDENTIFIED BY '<password>'")
	if flavorName == "mysql" {
		out = append(out,
			"GRANT PROCESS, RELOAD, REPLICATION CLIENT, REPLICATION SLAVE ON *.* TO "+account,
			"GRANT CONNECTION_ADMIN, SYSTEM_VARIABLES_ADMIN, REPLICATION_SLAVE_ADMIN, XA_RECOVER_ADMIN ON *.* TO "+account,
			"GRANT SELECT ON performance_schema.* TO "+account,
			"GRANT SELECT ON mysql.* TO "+account,
		)
	} else {
		out = append(out,
			"GRANT PROCESS, RELOAD, READ_ONLY ADMIN, CONNECTION ADMIN, REPLICA MONITOR, BINLOG MONITOR, BINLOG ADMIN, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, REPLICATION SLAVE ON *.* TO "+account,
			"GRANT SELECT ON mysql.* TO "+account,
		)
	}
	return append(out, "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, EVENT, TRIGGER ON onewriter.* TO "+account)
}
