package rejoin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// Reattach makes the server old follow primary and returns when both threads run. Old must have been judged clean and be
// closed. A link to primary that is there keeps its account and, by file and position, its own place; otherwise the link
// is pointed at primary with acc, by file and position at the place d.Binlog. By GTID the histories are compared once
// more; ErrNotClean then means that nothing was started. Old acknowledges from now on if commits waited for that before.
func Reattach(ctx context.Context, old, primary Server, acc Account, d coord.Departure) error {
	return attach(ctx, old, primary, acc, d, false)
}

// attach is Reattach. With fresh, a link by GTID that is there is set up anew, which throws away what it has received:
// MySQL takes what lies in the relay log for something it has, whatever gtid_executed says.
func attach(ctx context.Context, old, primary Server, acc Account, d coord.Departure, fresh bool) error {
	was, is, err := closedPair(ctx, old, primary)
	if err != nil {
		return err
	}
	if err := stopLinks(ctx, old); err != nil {
		return err
	}
	link, there, err := usableLink(was.Links, old, primary, is.ServerID)
	if err != nil {
		return err
	}
	if !there && !acc.known() {
		return fmt.Errorf("attach %s to %s: %w", old.Instance.Name, primary.Instance.Name, ErrNoAccount)
	}
	if !d.FilePos && was.GTID {
		if _, err := flavor.AppliedHistory(ctx, old.DB, old.Dialect); err != nil {
			return fmt.Errorf("tell %s where to go on: %w", old.Instance.Name, err)
		}
	}
	if change, err := needsChange(link, there, primary, is.ServerID, d); err != nil {
		return err
	} else if change || fresh && link.UsesGTID {
		if err := pointAt(ctx, old, primary, link.Channel, acc, d); err != nil {
			return err
		}
	}
	if err := acknowledge(ctx, old, d); err != nil {
		return err
	}
	return start(ctx, old, link.Channel, flavor.BothThreads)
}

// bothFacts observes both, old first, so that what old fetches from primary meanwhile does no harm.
func bothFacts(ctx context.Context, old, primary Server) (was, is topology.Facts, err error) {
	if was, err = old.observe(ctx); err == nil {
		is, err = primary.observe(ctx)
	}
	return was, is, err
}

// closedPair observes both and refuses an old server that is writable or has more than primary.
func closedPair(ctx context.Context, old, primary Server) (was, is topology.Facts, err error) {
	was, is, err = bothFacts(ctx, old, primary)
	switch {
	case err != nil:
	case was.Writable():
		err = fmt.Errorf("attach %s to %s: %w", old.Instance.Name, primary.Instance.Name, ErrNotClosed)
	case was.GTID && is.GTID && (is.LogsUpdates || is.Flavor == "mysql") && !is.Position.Contains(was.Position):
		err = fmt.Errorf("attach %s to %s: %w", old.Instance.Name, primary.Instance.Name, ErrNotClean)
	}
	return was, is, err
}

// usableLink finds the link to primary, else the only link there is, which can be pointed at primary.
func usableLink(links []topology.Link, old, primary Server, id uint32) (topology.Link, bool, error) {
	if l, ok := linkTo(links, primary, id); ok {
		return l, true, nil
	}
	switch len(links) {
	case 0:
		return topology.Link{}, false, nil
	case 1:
		return links[0], true, nil
	default:
		return topology.Link{}, false, fmt.Errorf("%s has %d links, none of them to %s: take those away that it does not need", old.Instance.Name, len(links), primary.Instance.Name)
	}
}

// needsChange reports whether the link has to be told where to read. A link by file and position knows its place in
// the primary's binary log, which may be behind d.Binlog already, because links start by themselves. One that was
// connected to the primary under an address that is not ours, as in a network of the servers' own, keeps it.
// A pinned one has to fetch everything since d.Binlog again.
func needsChange(l topology.Link, there bool, primary Server, id uint32, d coord.Departure) (bool, error) {
	switch {
	case there && (l.Source == primary.Instance.Address || l.SourceServerID == id) && l.UsesGTID == !d.FilePos && !flavor.Pinned(l):
		return false, nil
	case d.FilePos && d.Binlog == "":
		return false, fmt.Errorf("the place in the binary log of %s at its promotion is not recorded", primary.Instance.Name)
	default:
		return true, nil
	}
}

// pointAt points the link of old called channel at primary.
func pointAt(ctx context.Context, old, primary Server, channel string, acc Account, d coord.Departure) error {
	host, port, err := primary.hostPort()
	if err != nil {
		return err
	}
	s := flavor.Source{
		Channel: channel, Host: host, Port: port, User: acc.User, Password: acc.Password, TLS: acc.TLS,
		GTID: !d.FilePos, Heartbeat: time.Second, Retry: time.Second,
	}
	if d.FilePos {
		at, err := gtid.ParseFile(d.Binlog)
		if err != nil {
			return fmt.Errorf("the place in the binary log of %s at its promotion: %w", primary.Instance.Name, err)
		}
		s.File, s.Pos, _ = at.File()
	}
	if err := old.Dialect.ChangeSource(ctx, old.DB, s); err != nil {
		return fmt.Errorf("point %s at %s: %w", old.Instance.Name, primary.Instance.Name, err)
	}
	return nil
}

// acknowledge switches the replica side of semi-sync on, which a receiver takes up when it starts.
func acknowledge(ctx context.Context, old Server, d coord.Departure) error {
	if !d.SemiSync {
		return nil
	}
	err := old.Dialect.SetSemiSyncReplica(ctx, old.DB, true)
	if err != nil && !errors.Is(err, flavor.ErrNoSemiSync) {
		return fmt.Errorf("switch the replica side of semi-sync on %s on: %w", old.Instance.Name, err)
	}
	return nil
}
