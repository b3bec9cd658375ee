package demo

import (
	"fmt"
	"io"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// Options say what to show.
type Options struct {
	// Flavor is the kind of database servers.
	Flavor mysqltest.Flavor
	// For is how long the load runs; 0 shows one switchover and then stays until the context is done.
	For time.Duration
	// Writers and Readers count the clients. The readers are spread over both ports.
	Writers, Readers int
	// Program is the file of this program, which is run once more to serve.
	Program string
	// Story is written to for people. It is never part of a machine-readable answer.
	Story io.Writer
	// Terminal is true when Story is a terminal, on which a line can be written over.
	Terminal bool
}

// The bounds of the options.
const (
	minFor     = time.Second
	maxClients = 200
)

// firstShow is how long the load runs before the summary when no time is given.
const firstShow = 10 * time.Second

// Validate says what is wrong with o.
func (o Options) Validate() error {
	switch {
	case o.For != 0 && o.For < minFor:
		return fmt.Errorf("the load must run for at least %s, not %s", minFor, o.For)
	case o.Writers < 1 || o.Writers > maxClients:
		return fmt.Errorf("the number of writers must be from 1 to %d, not %d", maxClients, o.Writers)
	case o.Readers < 0 || o.Readers > maxClients:
		return fmt.Errorf("the number of readers must be from 0 to %d, not %d", maxClients, o.Readers)
	default:
		return nil
	}
}

// schedule gives the times after the start of the load at which a switchover is asked for.
func (o Options) schedule() []time.Duration {
	if o.For == 0 {
		return []time.Duration{firstShow / 2}
	}
	const between = 3 * time.Second
	n := max(2, int(o.For/between))
	out := make([]time.Duration, n)
	for i := range out {
		out[i] = o.For * time.Duration(i+1) / time.Duration(n+1)
	}
	return out
}

// duration is how long the load runs until the first summary.
func (o Options) duration() time.Duration {
	if o.For == 0 {
		return firstShow
	}
	return o.For
}
