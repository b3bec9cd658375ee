package flavor

import (
	"context"
	"fmt"
	"strings"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// pinned is a binary log that no source has.
const pinned = "onewriter-pinned"

// PinLinks makes MySQL's links that go by GTID unable to fetch anything, also after a restart, which starts them: a
// server that claims no history for a moment would fetch and apply everything again. All links must be stopped.
// MariaDB goes on from gtid_slave_pos, which emptying the binary log leaves as it is, and needs nothing of the kind.
func PinLinks(ctx context.Context, q Querier, d Dialect, links []topology.Link) error {
	for _, l := range links {
		if d.Name() != "mysql" || !l.UsesGTID {
			continue
		}
		if err := PinLink(ctx, q, d, l); err != nil {
			return err
		}
	}
	return nil
}

// PinLink makes the stopped link unable to fetch anything, also after a restart, and throws away what it has received.
// Its place, if it went by file and position, is lost.
func PinLink(ctx context.Context, q Querier, d Dialect, l topology.Link) error {
	s, err := sourceOfLink(l)
	if err != nil {
		return err
	}
	s.File, s.Pos = pinned, 4
	if err := d.ChangeSource(ctx, q, s); err != nil {
		return fmt.Errorf("pin the link to %s: %w", l.Source, err)
	}
	return nil
}

// PointLink makes a stopped link go on at the place at in its source's binary log, or by GTID when at is unknown.
func PointLink(ctx context.Context, q Querier, d Dialect, l topology.Link, at gtid.Position) error {
	s, err := sourceOfLink(l)
	if err != nil {
		return err
	}
	s.File, s.Pos, _ = at.File()
	s.GTID = !at.Known()
	if err := d.ChangeSource(ctx, q, s); err != nil {
		return fmt.Errorf("point the link to %s at its place: %w", l.Source, err)
	}
	return nil
}

// Pinned reports whether the link is pinned.
func Pinned(l topology.Link) bool {
	file, _, _ := l.ReceivedFile.File()
	return file == pinned
}

// UnpinLinks makes links that PinLinks has pinned go by GTID again.
func UnpinLinks(ctx context.Context, q Querier, d Dialect) error {
	facts, err := d.Observe(ctx, q)
	if err != nil {
		return fmt.Errorf("read the links: %w", err)
	}
	for _, l := range facts.Links {
		if !Pinned(l) {
			continue
		}
		if err := PointLink(ctx, q, d, l, gtid.Position{}); err != nil {
			return err
		}
	}
	return nil
}

// sourceOfLink gives what CHANGE REPLICATION SOURCE has to be told to leave the source as it is.
func sourceOfLink(l topology.Link) (Source, error) {
	i := strings.LastIndexByte(l.Source, ':')
	var port int
	if _, err := fmt.Sscanf(l.Source[i+1:], "%d", &port); err != nil || i < 0 {
		return Source{}, fmt.Errorf("source %q: no port", l.Source)
	}
	return Source{Channel: l.Channel, Host: strings.Trim(l.Source[:i], "[]"), Port: port}, nil
}
