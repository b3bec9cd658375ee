package fence

import (
	"context"
	"database/sql"
	"os"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// pairs are the servers that tests share.
var pairs mysqltest.Shared

func TestMain(m *testing.M) {
	_ = mysql.SetLogger(&mysql.NopLogger{}) // connections are ended on purpose
	os.Exit(pairs.Close(m.Run()))
}

var both = []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL}

func startPair(t *testing.T, o mysqltest.PairOptions) *mysqltest.Pair {
	t.Helper()
	mysqltest.RequireFlavor(t, o.Flavor)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	o.Fast = true
	p, err := mysqltest.StartPair(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// site is a pair whose first server is the primary, with the table app.t of one row.
type site struct {
	t    *testing.T
	pair *mysqltest.Pair
	a, b Server
}

// onPairs runs a test on a shared pair of each flavour; the primary is open and empty before each.
func onPairs(t *testing.T, test func(*site)) {
	t.Helper()
	for _, f := range both {
		t.Run(f.String(), func(t *testing.T) {
			p, _ := pairs.Pair(t, f.String(), mysqltest.PairOptions{Flavor: f})
			s := siteOf(t, p)
			s.root("SET GLOBAL read_only = 0")
			for _, statement := range []string{
				"DROP TABLE IF EXISTS app.t", "CREATE TABLE app.t (id INT PRIMARY KEY, n INT) ENGINE=InnoDB", "INSERT INTO app.t VALUES (1, 0)",
			} {
				s.root(statement)
			}
			test(s)
		})
	}
}

func siteOf(t *testing.T, p *mysqltest.Pair) *site {
	t.Helper()
	return &site{t: t, pair: p, a: serverOf(t, "a", p.Servers[0]), b: serverOf(t, "b", p.Servers[1])}
}

func serverOf(t *testing.T, name string, s *mysqltest.Server) Server {
	t.Helper()
	db, err := flavor.Open(s.Addr(), flavor.Login{User: mysqltest.ControlUser, Password: mysqltest.ControlPassword})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	d, err := flavor.Detect(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	return Server{Name: name, DB: db, Dialect: d, ControlUser: mysqltest.ControlUser}
}

// root runs a statement as root on the primary; a fence may have ended root's connection before.
func (s *site) root(statement string) {
	s.t.Helper()
	if _, err := s.pair.Servers[0].DB().Exec(statement); err != nil {
		if _, err = s.pair.Servers[0].DB().Exec(statement); err != nil {
			s.t.Fatalf("%s: %v", statement, err)
		}
	}
}

var passwords = map[string]string{"app": mysqltest.AppPassword, "root": mysqltest.RootPassword, mysqltest.ControlUser: mysqltest.ControlPassword}

// session is a connection to the primary of its own.
func (s *site) session(user string) *sql.Conn {
	s.t.Helper()
	schema := "app"
	if user == mysqltest.ControlUser {
		schema = ""
	}
	db, err := sql.Open("mysql", s.pair.Servers[0].DSN(user, passwords[user], schema))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = db.Close() })
	conn, err := db.Conn(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return conn
}

func (s *site) exec(conn *sql.Conn, statement string) {
	s.t.Helper()
	if _, err := conn.ExecContext(context.Background(), statement); err != nil {
		s.t.Fatalf("%s: %v", statement, err)
	}
}

func (s *site) flags(server Server) openness {
	s.t.Helper()
	state, err := readFlags(context.Background(), server.DB, server.Dialect)
	if err != nil {
		s.t.Fatal(err)
	}
	return state
}

func limits() Limits {
	return Limits{Grace: 50 * time.Millisecond, Kill: 20 * time.Millisecond, Budget: 2 * time.Second, Settle: 2 * time.Second}
}

// attempt prepares a fence of the primary.
func (s *site) attempt(l Limits) *Attempt {
	s.t.Helper()
	a, err := New(context.Background(), s.a, l)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(a.Release)
	return a
}
