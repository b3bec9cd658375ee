package backend_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// testServer is a real server that a test may create accounts on.
type testServer struct {
	addr, user, password string
	db                   *sql.DB
}

// servers are what tests share, started by the first test that wants one.
var servers = map[mysqltest.Flavor]*mysqltest.Server{}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, s := range servers {
		if err := s.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "close a server:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

func mariaDB(t *testing.T) testServer {
	t.Helper()
	return shared(t, mysqltest.MariaDB, "false")
}

func mySQL(t *testing.T) testServer {
	t.Helper()
	return shared(t, mysqltest.MySQL, "skip-verify")
}

func shared(t *testing.T, f mysqltest.Flavor, tlsMode string) testServer {
	t.Helper()
	s := servers[f]
	if s == nil {
		mysqltest.RequireFlavor(t, f)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		var err error
		if s, err = mysqltest.Start(ctx, mysqltest.Options{Flavor: f, Fast: true}); err != nil {
			t.Fatal(err)
		}
		servers[f] = s
	}
	return testServer{
		addr: s.Addr(), user: "root", password: mysqltest.RootPassword,
		db: open(t, "root", mysqltest.RootPassword, s.Addr(), "", tlsMode),
	}
}
