package mysqltest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"
)

// sharedTimeout bounds the start of a pair on a busy machine.
const sharedTimeout = 2 * time.Minute

// Shared are pairs that the tests of a package share, each started by the first test that wants it, without care for
// their data's safety (PairOptions.Fast). The zero value is ready to use.
type Shared struct {
	mu    sync.Mutex
	pairs map[string]*sharedPair // by name; guarded by mu
}

type sharedPair struct {
	once sync.Once
	pair *Pair
	err  error // of the only attempt to start it
}

// Pair gives the pair called name, which o describes; fresh means that it was started by this call. The test fails when
// it cannot be started, and is skipped as of RequireFlavor.
func (s *Shared) Pair(t TB, name string, o PairOptions) (p *Pair, fresh bool) {
	t.Helper()
	RequireFlavor(t, o.Flavor)
	s.mu.Lock()
	if s.pairs == nil {
		s.pairs = map[string]*sharedPair{}
	}
	one := s.pairs[name]
	if one == nil {
		one = &sharedPair{}
		s.pairs[name] = one
	}
	s.mu.Unlock()
	one.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), sharedTimeout)
		defer cancel()
		o.Fast, fresh = true, true
		one.pair, one.err = StartPair(ctx, o)
	})
	if one.err != nil {
		t.Fatalf("start the pair %s: %v", name, one.err)
	}
	return one.pair, fresh
}

// Close ends all pairs after the tests have ended with code, and gives the exit code of the process.
func (s *Shared) Close(code int) int {
	for name, one := range s.pairs {
		if one.pair == nil {
			continue
		}
		for _, server := range one.pair.Servers {
			server.DB().SetMaxIdleConns(-1) // a test may have killed root's sessions, which would be an error of Close
		}
		if err := one.pair.Close(); err != nil {
			fmt.Fprintf(os.Stderr, "close the pair %s: %v\n", name, err)
			code = max(code, 1)
		}
	}
	return code
}

// Kind is a way in which a pair replicates.
type Kind struct {
	Name    string
	Options PairOptions
}

// Kinds are the four kinds of pairs: each flavour by GTID and by file and position.
func Kinds() []Kind {
	return []Kind{
		{"mariadb-gtid", PairOptions{Flavor: MariaDB}},
		{"mariadb-file", PairOptions{Flavor: MariaDB, FilePos: true}},
		{"mysql-gtid", PairOptions{Flavor: MySQL}},
		{"mysql-file", PairOptions{Flavor: MySQL, FilePos: true}},
	}
}
