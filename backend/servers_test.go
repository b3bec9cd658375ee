package backend_test

import (
	"database/sql"
	"os"
	"strings"
	"testing"
)

// testServer is a real server that a test may create accounts on.
type testServer struct {
	addr, user, password string
	db                   *sql.DB
}

// The servers to test against, as user:password@host:port.
const (
	mariaDBVariable = "ONEWRITER_TEST_MARIADB"
	mySQLVariable   = "ONEWRITER_TEST_MYSQL"
)

func mariaDB(t *testing.T) testServer {
	t.Helper()
	return fromEnvironment(t, mariaDBVariable, "false")
}

func mySQL(t *testing.T) testServer {
	t.Helper()
	return fromEnvironment(t, mySQLVariable, "skip-verify")
}

func fromEnvironment(t *testing.T, variable, tlsMode string) testServer {
	t.Helper()
	account, addr, ok := strings.Cut(os.Getenv(variable), "@")
	user, password, _ := strings.Cut(account, ":")
	if !ok {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no server to test with: set %s", variable)
		}
		t.Skipf("no server to test with: set %s=user:password@host:port", variable)
	}
	s := testServer{addr: addr, user: user, password: password}
	s.db = open(t, s.user, s.password, s.addr, "", tlsMode)
	return s
}
