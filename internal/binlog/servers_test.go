package binlog_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

var flavors = []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL}

// startServer starts one server of flavor f with the schema app.
func startServer(t *testing.T, o mysqltest.Options) *mysqltest.Server {
	t.Helper()
	mysqltest.RequireFlavor(t, o.Flavor)
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	s, err := mysqltest.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	run(t, s.DB(), "CREATE DATABASE app")
	return s
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func run(t *testing.T, db execer, statements ...string) {
	t.Helper()
	for _, q := range statements {
		if _, err := db.ExecContext(deadline(t), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// session gives one connection.
func session(t *testing.T, s *mysqltest.Server) *sql.Conn {
	t.Helper()
	c, err := s.DB().Conn(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the server may be gone
	return c
}

func sourceOf(s *mysqltest.Server) binlog.Source {
	return binlog.Source{Address: s.Addr(), User: "root", Password: mysqltest.RootPassword, Flavor: s.Flavor.String(), ServerID: 4000000001}
}

// end is the end of the server's binary log now.
func end(t *testing.T, s *mysqltest.Server) gtid.Position {
	t.Helper()
	logs, err := binlog.Logs(deadline(t), s.DB())
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	return logs[len(logs)-1].End()
}

// settled is end once the server has written what it adds to a new file by itself, shortly after it was begun (MariaDB's
// binlog checkpoint event).
func settled(t *testing.T, s *mysqltest.Server) gtid.Position {
	t.Helper()
	for was, same := end(t, s), 0; ; {
		time.Sleep(50 * time.Millisecond)
		now := end(t, s)
		if same++; !now.Equal(was) {
			same = 0
		}
		if was = now; same == 5 {
			return now
		}
	}
}

// history is what the server has, by GTID.
func history(t *testing.T, s *mysqltest.Server) gtid.Position {
	t.Helper()
	query, parse := "SELECT @@global.gtid_executed", gtid.ParseMySQL
	if s.Flavor == mysqltest.MariaDB {
		query, parse = "SELECT @@global.gtid_binlog_state", gtid.ParseMariaDB
	}
	var text string
	if err := s.DB().QueryRowContext(deadline(t), query).Scan(&text); err != nil {
		t.Fatal(err)
	}
	p, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// read gives the transactions between two places.
func read(t *testing.T, s *mysqltest.Server, from, to gtid.Position) []binlog.Transaction {
	t.Helper()
	var out []binlog.Transaction
	err := binlog.Read(deadline(t), sourceOf(s), from, to, func(tr binlog.Transaction) error {
		out = append(out, tr)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// onBoth runs a test on a server of each flavour.
func onBoth(t *testing.T, config map[string]string, test func(*testing.T, *mysqltest.Server)) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			test(t, startServer(t, mysqltest.Options{Flavor: f, Fast: true, Config: config}))
		})
	}
}
