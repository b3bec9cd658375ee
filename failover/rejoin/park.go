package rejoin

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/topology"
)

// parkedHost is where a parked link points; no such name can exist (RFC 2606).
const parkedHost = "parked.onewriter.invalid"

// Park makes the stopped link of primary called channel point nowhere, with its account kept. A stopped link starts by
// itself when its server restarts, and would fetch, on MySQL silently, what only the server left behind has. What it has
// received must have been applied. Relink points it back.
func Park(ctx context.Context, primary Server, channel string, filePos bool) error {
	l, err := primary.channel(ctx, channel)
	if err != nil {
		return err
	}
	if parked(l) {
		return nil
	}
	_, text, err := net.SplitHostPort(l.Source)
	if err != nil {
		return fmt.Errorf("source of the link of %s: %w", primary.Instance.Name, err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("source of the link of %s: %w", primary.Instance.Name, err)
	}
	if err := primary.Dialect.ChangeSource(ctx, primary.DB, flavor.Source{Channel: channel, Host: parkedHost, Port: port, GTID: !filePos}); err != nil {
		return fmt.Errorf("park the link of %s to %s: %w", primary.Instance.Name, l.Source, err)
	}
	return nil
}

// parked reports whether the link points nowhere.
func parked(l topology.Link) bool {
	host, _, err := net.SplitHostPort(l.Source)
	return err == nil && host == parkedHost
}

// unpark points a parked link of primary back at old, stopped as it is.
func unpark(ctx context.Context, old, primary Server, d coord.Departure) error {
	facts, err := primary.observe(ctx)
	if err != nil {
		return err
	}
	for _, l := range facts.Links {
		if !parked(l) {
			continue
		}
		if err := stopLink(ctx, primary, l); err != nil {
			return err
		}
		host, port, err := placeOf(old, d)
		if err != nil {
			return err
		}
		if err := primary.Dialect.ChangeSource(ctx, primary.DB, flavor.Source{Channel: l.Channel, Host: host, Port: port, GTID: !d.FilePos}); err != nil {
			return fmt.Errorf("point the link of %s back at %s: %w", primary.Instance.Name, old.Instance.Name, err)
		}
		return nil
	}
	return nil
}

// placeOf is where old is reached by the link: as the link had it, else as we reach it.
func placeOf(old Server, d coord.Departure) (string, int, error) {
	host, text, err := net.SplitHostPort(d.Link)
	if err != nil || host == parkedHost {
		return old.hostPort()
	}
	port, err := strconv.Atoi(text)
	return host, port, err
}
