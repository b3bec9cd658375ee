package rejoin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/pause"
	"github.com/onewriter/onewriter/topology"
)

// linkTo finds the link that reads from the server source.
func linkTo(links []topology.Link, source Server, id uint32) (topology.Link, bool) {
	for _, l := range links {
		if l.Source == source.Instance.Address || l.SourceServerID == id && id != 0 {
			return l, true
		}
	}
	return topology.Link{}, false
}

// channel reads the link of s called channel.
func (s Server) channel(ctx context.Context, channel string) (topology.Link, error) {
	facts, err := s.observe(ctx)
	if err != nil {
		return topology.Link{}, err
	}
	for _, l := range facts.Links {
		if l.Channel == channel {
			return l, nil
		}
	}
	return topology.Link{}, fmt.Errorf("%s has no link called %q any more", s.Instance.Name, channel)
}

// broken says why the link does not run and will not start to by waiting; nil while it may.
func broken(s Server, l topology.Link) error {
	switch {
	case l.SQL == topology.ThreadNo && l.SQLErrno != 0:
		return fmt.Errorf("the applier of %s from %s stopped with error %d: %s", s.Instance.Name, l.Source, l.SQLErrno, l.SQLError)
	case l.IO == topology.ThreadNo && l.IOErrno != 0:
		return fmt.Errorf("the receiver of %s from %s stopped with error %d: %s", s.Instance.Name, l.Source, l.IOErrno, l.IOError)
	default:
		return nil
	}
}

// start starts threads of the link and waits until both run.
func start(ctx context.Context, s Server, channel string, which flavor.Threads) error {
	if err := s.Dialect.StartReplica(ctx, s.DB, channel, which); err != nil {
		return fmt.Errorf("start the replication of %s: %w", s.Instance.Name, err)
	}
	var last topology.Link
	err := await(ctx, "the replication of "+s.Instance.Name+" does not come up", func() (bool, error) {
		l, err := s.channel(ctx, channel)
		if err != nil {
			return false, err
		}
		last = l
		return l.Running(), broken(s, l)
	})
	if err != nil && broken(s, last) == nil {
		return errors.Join(err, said(last))
	}
	return err
}

// said is the link's own error, nil when it has none.
func said(l topology.Link) error {
	switch {
	case l.IOError != "":
		return errors.New(l.IOError)
	case l.SQLError != "":
		return errors.New(l.SQLError)
	default:
		return nil
	}
}

// watch returns when all links named have run for a while without a stop.
func watch(ctx context.Context, d time.Duration, links ...channelOf) error {
	for end := time.Now().Add(d); ; {
		for _, c := range links {
			l, err := c.server.channel(ctx, c.channel)
			if err != nil {
				return err
			}
			if err := broken(c.server, l); err != nil {
				return err
			}
			if !l.Running() {
				return fmt.Errorf("the replication of %s from %s does not run (receiver %s, applier %s)", c.server.Instance.Name, l.Source, l.IO, l.SQL)
			}
		}
		if time.Now().After(end) {
			return nil
		}
		if err := pause.For(ctx, 5*lookEvery); err != nil {
			return err
		}
	}
}

// channelOf names a link.
type channelOf struct {
	server  Server
	channel string
}
