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

// linkBack finds the link of primary back from old: by old's address or server id, else the parked one, else the one that
// had the address of d. Pointing a link elsewhere makes the server forget the id of its source.
func linkBack(links []topology.Link, old Server, id uint32, d coord.Departure) (topology.Link, bool) {
	if l, ok := linkTo(links, old, id); ok {
		return l, true
	}
	for _, l := range links {
		if parked(l) {
			return l, true
		}
	}
	for _, l := range links {
		if d.Link != "" && l.Source == d.Link {
			return l, true
		}
	}
	return topology.Link{}, false
}

// placeOf is where old is reached by the link: as it is, if it is parked as it was, else as we reach it.
func placeOf(old Server, back topology.Link, d coord.Departure) (string, int, error) {
	for _, source := range []string{back.Source, d.Link} {
		host, text, err := net.SplitHostPort(source)
		if err != nil || host == "" || host == parkedHost {
			continue
		}
		if port, err := strconv.Atoi(text); err == nil {
			return host, port, nil
		}
	}
	return old.hostPort()
}
