package health

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/topology"
)

// Defaults of Config.
const (
	DefaultInterval = 250 * time.Millisecond
	DefaultTimeout  = time.Second
)

const (
	refreshEvery = 5 * time.Second        // how often a new connection is opened besides the warm one
	beatEvery    = time.Second            // how often the heartbeat row is written
	beatReadGap  = 500 * time.Millisecond // how often it is read on a standby, at most

	hurryGap = 50 * time.Millisecond // the time between probes while a death is to be confirmed
	hurryFor = 5 * time.Second       // how long that goes on
)

// Config says what to watch and how.
type Config struct {
	// Cluster is the name the snapshots carry.
	Cluster string
	// Servers are the servers to watch, in the order of the snapshot.
	Servers []topology.Instance
	// Connect opens a handle for the control account on one server; it does not need to reach it. The monitor
	// changes the handle's pool limits and closes it when Run ends.
	Connect func(topology.Instance) (*sql.DB, error)
	// Interval is the time from the begin of one probe to the begin of the next, default 250 ms.
	Interval time.Duration
	// Timeout is how long a probe, and an attempt to connect, may take; default 1 s.
	Timeout time.Duration
	// Heartbeat lets the monitor write the heartbeat row on the primary once a second.
	Heartbeat bool
	// Writer names this proxy in the heartbeat row, unique among the proxies; at most 64 characters.
	Writer string
	// DataPath tells when a client last got an answer from a server (zero when unknown) and how many server connections
	// of clients have broken so far. It must not block; nil means that there is no data path to ask.
	DataPath func(server string) (replied time.Time, lost uint64)
	// Logger gets changes of class, not single probes.
	Logger zerolog.Logger // names the cluster already
}

func (c *Config) complete() error {
	if c.Interval == 0 {
		c.Interval = DefaultInterval
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Interval < 0 || c.Timeout < 0 {
		return fmt.Errorf("interval %s and timeout %s must be positive", c.Interval, c.Timeout)
	}
	if len(c.Writer) > 64 {
		return fmt.Errorf("writer %q is longer than 64 characters", c.Writer)
	}
	if c.Connect == nil {
		return errors.New("no way to connect is given")
	}
	names := map[string]bool{}
	for _, s := range c.Servers {
		if !s.Known() || names[s.Name] {
			return fmt.Errorf("server name %q is empty or used twice", s.Name)
		}
		names[s.Name] = true
	}
	return nil
}
