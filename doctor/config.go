package doctor

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/topology"
)

// DefaultEvery is the time between two examinations when Config says nothing.
const DefaultEvery = 5 * time.Minute

const (
	serverTimeout = 15 * time.Second // for all that one server is asked
	deepEvery     = time.Hour        // how often Run looks through the tables
	blockedEvery  = 5 * time.Second  // how often Run looks again while something blocks
)

// Config says which servers to examine and how often.
type Config struct {
	Cluster string
	Servers []topology.Instance
	// Connect opens a handle for the control account on one server; it does not need to reach it. The doctor changes the
	// handle's pool limits and closes it after each examination.
	Connect func(topology.Instance) (*sql.DB, error)
	// ControlUser is the name of the control account, for the SQL of the findings.
	ControlUser string
	// Primary gives the published primary. nil, and a zero value, mean that it is not known: then a server that is alone
	// in being writable is taken for it.
	Primary func() topology.Primary
	// Snapshot gives what the monitor saw, so that a server known not to answer is not asked. nil is allowed.
	Snapshot func() *topology.Snapshot
	// Every is the time between two examinations, default 5 minutes.
	Every time.Duration
	// Ignore are codes that are not reported and block nothing.
	Ignore []string
	// Automatic: a failover may happen without an operator. It only changes words.
	Automatic bool
	// ProxyProtocol: the servers are told where clients come from by the PROXY protocol.
	ProxyProtocol bool
	// Logger gets findings that come and go.
	Logger zerolog.Logger // names the cluster already
}

func (c *Config) complete() error {
	if c.Every == 0 {
		c.Every = DefaultEvery
	}
	switch {
	case c.Every < 0:
		return fmt.Errorf("interval %s must be positive", c.Every)
	case c.Connect == nil:
		return errors.New("no way to connect is given")
	case len(c.Servers) == 0:
		return errors.New("no servers are given")
	}
	if c.Primary == nil {
		c.Primary = func() topology.Primary { return topology.Primary{} }
	}
	if c.Snapshot == nil {
		c.Snapshot = func() *topology.Snapshot { return nil }
	}
	return c.knownCodes()
}

// knownCodes refuses codes that no check has: a typing error would look like a healthy cluster.
func (c *Config) knownCodes() error {
	for _, code := range c.Ignore {
		if _, ok := kindOf(code); !ok {
			return fmt.Errorf("%q is no code of a finding (docs/doctor.md lists them)", code)
		}
	}
	return nil
}
