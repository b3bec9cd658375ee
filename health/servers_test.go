package health

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// sharedPair is a pair that all tests use, started by the first one. Each test leaves b replicating.
type sharedPair struct {
	name string
	opts mysqltest.PairOptions
	pair *mysqltest.Pair
	err  error // of the only attempt to start it
}

var sharedPairs = []*sharedPair{
	{name: "mariadb-gtid", opts: mysqltest.PairOptions{Flavor: mysqltest.MariaDB}},
	{name: "mariadb-file", opts: mysqltest.PairOptions{Flavor: mysqltest.MariaDB, FilePos: true}},
	{name: "mysql-gtid", opts: mysqltest.PairOptions{Flavor: mysqltest.MySQL}},
	{name: "mysql-file", opts: mysqltest.PairOptions{Flavor: mysqltest.MySQL, FilePos: true}},
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, s := range sharedPairs {
		if s.pair == nil {
			continue
		}
		if err := s.pair.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "close a pair:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// start gives the running pair.
func (s *sharedPair) start(t *testing.T) *mysqltest.Pair {
	t.Helper()
	mysqltest.RequireFlavor(t, s.opts.Flavor)
	if s.pair == nil && s.err == nil {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		s.opts.Fast = true
		s.pair, s.err = mysqltest.StartPair(ctx, s.opts)
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.pair
}
