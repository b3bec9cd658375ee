package health

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/topology"
)

// errLoginEnd stands for a connection that the server closed in the middle of the login, for which the driver has
// only driver.ErrBadConn.
var errLoginEnd = errors.New("the server closed the connection during the login")

// Classify sorts the outcome of a probe. nil is ClassOK. Server errors count by number, whatever their text.
func Classify(err error) topology.Class {
	var server *mysql.MySQLError
	var network net.Error
	switch {
	case err == nil:
		return topology.ClassOK
	case errors.As(err, &server):
		return classifyNumber(server.Number)
	case errors.Is(err, syscall.ECONNREFUSED):
		return topology.ClassRefused
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return topology.ClassTimeout
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNABORTED),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, sql.ErrConnDone),
		errors.Is(err, errLoginEnd):
		return topology.ClassReset
	case errors.As(err, &network) && network.Timeout():
		return topology.ClassTimeout
	default:
		return topology.ClassError
	}
}

// classifyNumber sorts the error numbers of both flavours.
func classifyNumber(n uint16) topology.Class {
	switch n {
	case 1044, // ER_DBACCESS_DENIED_ERROR
		1045, // ER_ACCESS_DENIED_ERROR
		1129, // ER_HOST_IS_BLOCKED
		1130, // ER_HOST_NOT_PRIVILEGED
		1251, // ER_NOT_SUPPORTED_AUTH_MODE
		1524, // ER_PLUGIN_IS_NOT_LOADED
		1698, // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
		1820, // ER_MUST_CHANGE_PASSWORD
		3118: // ER_ACCOUNT_HAS_BEEN_LOCKED
		return topology.ClassAuth
	case 1040, // ER_CON_COUNT_ERROR
		1203: // ER_TOO_MANY_USER_CONNECTIONS
		return topology.ClassTooMany
	case 1053, // ER_SERVER_SHUTDOWN
		1079, // ER_SHUTDOWN_COMPLETE
		3032, // ER_SERVER_OFFLINE_MODE
		3169: // ER_SESSION_WAS_KILLED, which sessions get at shutdown too
		return topology.ClassShutdown
	case 1158, 1159, 1160, 1161, // network errors the server reports on its way out
		1927, // ER_CONNECTION_KILLED (MariaDB)
		2006, 2013,
		4031: // ER_CLIENT_INTERACTION_TIMEOUT
		return topology.ClassReset
	default:
		return topology.ClassError
	}
}
