package backend_test

import (
	"database/sql"
	"testing"
)

type testServer struct {
	addr, user, password string
	db                   *sql.DB
}

func mariaDB(t *testing.T) testServer {
	s := testServer{addr: "127.0.0.1:33991", user: "root"}
	s.db = open(t, s.user, s.password, s.addr, "", "false")
	return s
}

func mySQL(t *testing.T) testServer {
	s := testServer{addr: "127.0.0.1:33992", user: "root", password: "root"}
	s.db = open(t, s.user, s.password, s.addr, "", "skip-verify")
	return s
}
