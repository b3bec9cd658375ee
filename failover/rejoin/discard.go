package rejoin

import (
	"context"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// Discard brings old back although it is not clean, because an operator vouches for its data. Its binary log is emptied
// and its history becomes what it has in common with primary, plus what it wrote itself and primary has: the
// transactions that only it has are forgotten, never served to anybody, and their rows stay as they are; what primary
// has done since is fetched and applied. Then old is attached as Reattach does. Old must be closed and nobody may read
// its binary log.
//
// Until the history is set anew old claims to have none; a process that ends there leaves a server that Judge calls
// unknown or rebuilt, and Discard can be repeated with what primary has of it.
func Discard(ctx context.Context, old, primary Server, acc Account, d coord.Departure) error {
	was, is, err := bothFacts(ctx, old, primary)
	if err != nil {
		return err
	}
	if was.Writable() {
		return fmt.Errorf("discard the history of %s: %w", old.Instance.Name, ErrNotClosed)
	}
	if err := stopLinks(ctx, old); err != nil {
		return err
	}
	if err := awaitNoReaders(ctx, old); err != nil {
		return fmt.Errorf("discard the history of %s: %w", old.Instance.Name, err)
	}
	if err := flavor.ReplaceHistory(ctx, old.DB, old.Dialect, vouched(was, is)); err != nil {
		return fmt.Errorf("discard the history of %s: %w", old.Instance.Name, err)
	}
	return attach(ctx, old, primary, acc, d, true)
}

// readersGrace is how long a reader of the binary log may take to end: a server notices that a replica has gone when it
// sends the next heartbeat.
const readersGrace = 5 * time.Second

// awaitNoReaders waits until nobody reads the binary log of s.
func awaitNoReaders(ctx context.Context, s Server) error {
	bounded, cancel := context.WithTimeout(ctx, readersGrace)
	defer cancel()
	return await(bounded, "replicas read its binary log; stop them first", func() (bool, error) {
		readers, err := flavor.LogReaders(ctx, s.DB, s.ControlUser)
		return readers == 0, err
	})
}

// vouched is the history that old has from now on; unknown where it has no GTIDs.
func vouched(was, is topology.Facts) gtid.Position {
	if !was.GTID || !is.GTID {
		return gtid.Position{}
	}
	own := is.Position.OfServer(was.ServerID)
	if is.Position.Kind() == gtid.KindMySQL {
		own = is.Position.OfSource(was.ServerUUID)
	}
	return gtid.Union(gtid.Common(was.Position, is.Position), own)
}

// Renew gives the departure d as it must be kept after old's binary log was begun anew with everything in it known to the
// primary: after a rewind, a discard or a rebuild. Without it Judge would, by file and position, look for a place that is
// not in the log any more.
func Renew(ctx context.Context, old Server, d coord.Departure) (coord.Departure, error) {
	facts, err := old.observe(ctx)
	if err != nil {
		return d, err
	}
	end, err := old.Dialect.BinlogPosition(ctx, old.DB)
	if err != nil {
		return d, fmt.Errorf("read the position of the binary log of %s: %w", old.Instance.Name, err)
	}
	d.Seen, d.UUID, d.Received = facts.Position.String(), facts.ServerUUID, end.String()
	return d, nil
}
