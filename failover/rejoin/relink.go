package rejoin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/internal/pause"
	"github.com/onewriter/onewriter/topology"
)

// steady is how long both links must run before they are believed. The tests shorten it.
var steady = 2 * time.Second

// undoTimeout bounds stopping the link back again after it failed.
const undoTimeout = 10 * time.Second

// Relink restores what was between the two before the departure d, after old was judged clean, attached, and has been
// equal and stable for a while: in a circular pair the link of primary back from old, which has been parked since the
// failover, and semi-sync, if commits waited for old's acknowledgement. In a star, and where there is no link back any
// more, none is made; one that is there is taken away from a star. Nothing of old's past reaches primary: what the link
// has received before is dropped, by GTID old has nothing that primary lacks, and by file and position the link begins at
// the end of old's binary log. When a link stops within two seconds, the link back is stopped again, and parked if it was,
// and the error says what it stopped with.
func Relink(ctx context.Context, old, primary Server, d coord.Departure) error {
	was, is, err := closedPair(ctx, old, primary)
	if err != nil {
		return err
	}
	forward, ok := linkTo(was.Links, primary, is.ServerID)
	if !ok || !forward.Running() {
		return errors.Join(fmt.Errorf("%s does not follow %s", old.Instance.Name, primary.Instance.Name), broken(old, forward))
	}
	if err := caughtUp(ctx, old, primary, forward.Channel); err != nil {
		return err
	}
	back, there := linkBack(is.Links, old, was.ServerID, d)
	switch {
	case there && d.Circular:
		err = restoreBack(ctx, old, primary, back, forward.Channel, d)
	case there:
		err = dropLink(ctx, primary, back)
	}
	if err != nil || !d.SemiSync {
		return err
	}
	return semiSync(ctx, old, primary, forward.Channel)
}

// caughtUp waits until old has everything that primary has now.
func caughtUp(ctx context.Context, old, primary Server, channel string) error {
	target, err := primary.Dialect.Position(ctx, primary.DB)
	if err != nil {
		return fmt.Errorf("read the position of %s: %w", primary.Instance.Name, err)
	}
	if target.Kind() == gtid.KindMariaDB {
		target = target.Newest() // a server restored from a backup does not know who wrote what before
	}
	end, err := primary.Dialect.BinlogPosition(ctx, primary.DB)
	if err != nil {
		return fmt.Errorf("read the position of the binary log of %s: %w", primary.Instance.Name, err)
	}
	return await(ctx, old.Instance.Name+" does not catch up with "+primary.Instance.Name, func() (bool, error) {
		l, err := old.channel(ctx, channel)
		if err != nil {
			return false, err
		}
		if !l.UsesGTID {
			return l.AppliedFile.Contains(end), broken(old, l)
		}
		has, err := old.Dialect.Position(ctx, old.DB)
		if err != nil {
			return false, fmt.Errorf("read the position of %s: %w", old.Instance.Name, err)
		}
		return has.Contains(target), broken(old, l)
	})
}

// restoreBack starts the link of primary to old, with nothing received before, and watches both links.
func restoreBack(ctx context.Context, old, primary Server, back topology.Link, forward string, d coord.Departure) error {
	both := []channelOf{{primary, back.Channel}, {old, forward}}
	if back.Running() {
		return watch(ctx, steady, both...)
	}
	if err := stopLink(ctx, primary, back); err != nil {
		return err
	}
	if err := placeBack(ctx, old, primary, back, d); err != nil {
		return err
	}
	err := start(ctx, primary, back.Channel, flavor.BothThreads)
	if err == nil {
		err = watch(ctx, steady, both...)
	}
	if err == nil {
		return nil
	}
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	err = errors.Join(err, stopLink(undo, primary, back))
	if parked(back) {
		err = errors.Join(err, Park(undo, primary, back.Channel, !back.UsesGTID))
	}
	return err
}

// stopLink stops what runs of the link.
func stopLink(ctx context.Context, s Server, l topology.Link) error {
	if err := s.Dialect.StopReplica(ctx, s.DB, l.Channel, flavor.BothThreads); err != nil {
		return fmt.Errorf("stop the link of %s to %s: %w", s.Instance.Name, l.Source, err)
	}
	return nil
}

// placeBack points the link of primary at old, which drops what it has received, and makes it begin where old's binary log
// holds nothing but what primary has. The log of a server whose tail was undone, or that was rebuilt, begins anew, so that
// the place of before may not be in it. By file and position that is the end: old is closed and has nothing that primary
// lacks.
func placeBack(ctx context.Context, old, primary Server, back topology.Link, d coord.Departure) error {
	host, port, err := placeOf(old, back, d)
	if err != nil {
		return err
	}
	s := flavor.Source{Channel: back.Channel, Host: host, Port: port, GTID: back.UsesGTID, Heartbeat: time.Second, Retry: time.Second}
	if !back.UsesGTID {
		end, err := old.Dialect.BinlogPosition(ctx, old.DB)
		if err != nil {
			return fmt.Errorf("read the position of the binary log of %s: %w", old.Instance.Name, err)
		}
		if s.File, s.Pos, _ = end.File(); s.File == "" {
			return fmt.Errorf("%s has no binary log", old.Instance.Name)
		}
	}
	if err := primary.Dialect.ChangeSource(ctx, primary.DB, s); err != nil {
		return fmt.Errorf("point the link of %s back at %s: %w", primary.Instance.Name, old.Instance.Name, err)
	}
	if !back.UsesGTID || primary.Dialect.Kind() != flavor.KindMariaDB {
		return nil // MySQL compares the sets itself
	}
	return adoptPlace(ctx, old, primary)
}

// adoptPlace makes gtid_slave_pos of a MariaDB primary its own newest transaction and waits until old has that one,
// which is refused otherwise (error 1236). The primary writes meanwhile, so that a value can be too old for strict mode
// at the moment it is set; then the next one is tried. Another link that runs keeps the old place; that is no harm as
// long as old's binary log holds it.
func adoptPlace(ctx context.Context, old, primary Server) error {
	facts, err := primary.observe(ctx)
	if err != nil {
		return err
	}
	if anyThread(facts.Links) {
		return nil
	}
	var place gtid.Position
	for tries := 0; ; tries++ {
		if place, err = flavor.AppliedHistory(ctx, primary.DB, primary.Dialect); err == nil {
			break
		}
		if tries == 50 || pause.For(ctx, time.Millisecond) != nil {
			return fmt.Errorf("set the place of %s in the binary log of %s: %w", primary.Instance.Name, old.Instance.Name, err)
		}
	}
	if err := old.Dialect.Wait(ctx, old.DB, place); err != nil {
		return fmt.Errorf("wait until %s has %s: %w", old.Instance.Name, place, err)
	}
	return nil
}

// dropLink takes the stopped link of primary away, so that a star stays a star, also after a restart of primary.
func dropLink(ctx context.Context, primary Server, back topology.Link) error {
	if err := stopLink(ctx, primary, back); err != nil {
		return err
	}
	if err := primary.Dialect.ResetReplica(ctx, primary.DB, back.Channel); err != nil {
		return fmt.Errorf("take the link of %s to %s away: %w", primary.Instance.Name, back.Source, err)
	}
	return nil
}
