package failover

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/internal/pause"
	"github.com/onewriter/onewriter/topology"
)

// repoint makes every server that does not follow the new primary follow it, and takes the new primary's own link to
// the old one away, so that a star stays a star. One server that fails does not keep the others from following.
func (e *executor) repoint(ctx context.Context, a actRun, out *done) error {
	ev := evidence(out.Evidence)
	var errs []error
	for _, name := range repointOrder(a) {
		err := e.repointOne(ctx, a, name)
		if err == nil {
			ev.add(name, "follows %s", a.Op.To.Name)
			out.Repointed = append(out.Repointed, name)
			continue
		}
		ev.add(name, "%v", err)
		errs = append(errs, fmt.Errorf("point %s at %s: %w", name, a.Op.To.Name, err))
	}
	if a.Op.failover() { // the link to the old primary keeps its coordinates until that is judged
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, e.dropOldLink(ctx, a))...)
}

// places is where both servers of a switchover by file and position stood when the new primary was opened: what one of them
// has to know that is pointed at it later.
func (r *run) places(a actRun) coord.Departure {
	if r == nil || !a.Op.FilePos {
		return coord.Departure{}
	}
	return coord.Departure{Received: r.target.String(), Binlog: r.binlogB.String()}
}

// failover reports whether the operation leaves a server behind.
func (o operation) failover() bool { return o.Gone.Server != "" }

// repointOrder puts the old primary last: as soon as it follows the new one its binary log grows again, and the others
// could not be stopped at the target any more.
func repointOrder(a actRun) []string {
	var order []string
	last := ""
	for _, name := range a.Op.Repoint {
		if name == a.Op.From.Name {
			last = name
			continue
		}
		order = append(order, name)
	}
	if last != "" {
		order = append(order, last)
	}
	return order
}

// repointOne changes the source of one server. What it has received from the old primary is applied first: MariaDB
// deletes what is not, and a position in the new primary's log is only right behind all of it.
func (e *executor) repointOne(ctx context.Context, a actRun, name string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Limits.Repoint)
	defer cancel()
	conn, d, err := e.servers[name].conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	facts, err := d.Observe(ctx, conn)
	if err != nil {
		return fmt.Errorf("observe it: %w", err)
	}
	if facts.Writable() {
		return errors.New("it is writable")
	}
	if a.Op.failover() && a.Op.FilePos {
		return fmt.Errorf("it replicates by file and position, and its place in the binary log of %s is not known: point it there by hand or rebuild it", a.Op.To.Name)
	}
	old, hadLink := linkTo(facts.Links, a.Op.From, e.run.from)
	if hadLink {
		if err := e.applied(ctx, a, name, d, conn, old.Channel); err != nil {
			return fmt.Errorf("wait until it has applied everything of %s: %w", a.Op.From.Name, err)
		}
		if err := d.StopReplica(ctx, conn, old.Channel, flavor.BothThreads); err != nil {
			return fmt.Errorf("stop its replication: %w", err)
		}
		if err := e.lacksNothing(ctx, a, d, conn); err != nil {
			return err
		}
	} else if len(facts.Links) > 0 && name != a.Op.From.Name {
		return errors.New("it replicates from another server; chains are not changed")
	}
	if name == a.Op.From.Name && !a.Op.FilePos {
		if err := flavor.AdoptOwnHistory(ctx, conn, d); err != nil {
			return fmt.Errorf("make its own transactions the place to go on from: %w", err)
		}
	}
	source, err := e.sourceFor(a, old.Channel)
	if err != nil {
		return err
	}
	return e.startFollowing(ctx, conn, d, source, a)
}

// applied waits until the server has applied everything that the old primary ever had, or, where that is away, all
// that it has received itself: the new primary has that too.
func (e *executor) applied(ctx context.Context, a actRun, name string, d flavor.Dialect, conn *sql.Conn, channel string) error {
	if !a.Op.failover() || e.run.target.Known() {
		return d.Wait(ctx, conn, e.run.target)
	}
	if err := d.StopReplica(ctx, conn, channel, flavor.ReceiverThread); err != nil {
		return fmt.Errorf("stop its receiver: %w", err)
	}
	return e.untilDrained(ctx, name, d, conn, channel, false)
}

// lacksNothing checks, in a failover, that the new primary has all that the server has: another standby may have received
// more at the last moment, and MySQL would not say a word.
func (e *executor) lacksNothing(ctx context.Context, a actRun, d flavor.Dialect, conn *sql.Conn) error {
	if !a.Op.failover() {
		return nil
	}
	mine, err := d.Position(ctx, conn)
	if err != nil {
		return fmt.Errorf("read its position: %w", err)
	}
	theirs, err := e.run.new.Position(ctx, e.run.b)
	if err != nil {
		return fmt.Errorf("read the position of %s: %w", a.Op.To.Name, err)
	}
	switch gtid.Relate(theirs, mine) {
	case gtid.Equal, gtid.Ahead:
		return nil
	case gtid.Behind, gtid.Diverged, gtid.RelationUnknown:
		return fmt.Errorf("it has transactions that %s does not have", a.Op.To.Name)
	default:
		return errors.New("its history cannot be compared")
	}
}

// sourceFor describes the new primary as a source.
func (e *executor) sourceFor(a actRun, channel string) (flavor.Source, error) {
	host, portText, err := net.SplitHostPort(a.Op.To.Address)
	if err != nil {
		return flavor.Source{}, fmt.Errorf("address of %s: %w", a.Op.To.Name, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return flavor.Source{}, fmt.Errorf("address of %s: %w", a.Op.To.Name, err)
	}
	s := flavor.Source{
		Channel: channel, Host: host, Port: port, User: e.cfg.Replication.User, Password: e.cfg.Replication.Password,
		GTID: !a.Op.FilePos, Heartbeat: time.Second, Retry: time.Second, TLS: e.cfg.Replication.TLS,
	}
	if a.Op.FilePos {
		s.File, s.Pos, _ = e.run.binlogB.File()
		if s.File == "" {
			return s, fmt.Errorf("the binary log position of %s at its promotion is not known", a.Op.To.Name)
		}
	}
	return s, nil
}

// startFollowing changes the source, starts the link and waits until both threads run.
func (e *executor) startFollowing(ctx context.Context, conn *sql.Conn, d flavor.Dialect, s flavor.Source, a actRun) error {
	if err := d.ChangeSource(ctx, conn, s); err != nil {
		return fmt.Errorf("change its source: %w", err)
	}
	if a.Op.SemiSync {
		if err := d.SetSemiSyncReplica(ctx, conn, true); err != nil {
			return fmt.Errorf("switch the replica side of semi-sync on: %w", err)
		}
	}
	if err := d.StartReplica(ctx, conn, s.Channel, flavor.BothThreads); err != nil {
		return fmt.Errorf("start its replication: %w", err)
	}
	for {
		facts, err := d.Observe(ctx, conn)
		if err != nil {
			return fmt.Errorf("observe it: %w", err)
		}
		for _, l := range facts.Links {
			if l.Channel == s.Channel && l.Running() {
				return nil
			}
			if l.Channel == s.Channel && l.SQLErrno != 0 {
				return fmt.Errorf("its applier stopped with error %d: %s", l.SQLErrno, l.SQLError)
			}
		}
		if err := pause.For(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("its replication does not come up: %w", err)
		}
	}
}

// dropOldLink takes away the link by which the new primary followed the old one. Everything was applied, which the
// verification has proved.
func (e *executor) dropOldLink(ctx context.Context, a actRun) (err error) {
	conn, d, err := e.servers[a.Op.To.Name].conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	facts, err := d.Observe(ctx, conn)
	if err != nil {
		return fmt.Errorf("observe %s: %w", a.Op.To.Name, err)
	}
	link, ok := linkTo(facts.Links, a.Op.From, e.run.from)
	if !ok {
		return nil
	}
	if err := d.StopReplica(ctx, conn, link.Channel, flavor.BothThreads); err != nil {
		return fmt.Errorf("stop the old link of %s: %w", a.Op.To.Name, err)
	}
	if err := d.ResetReplica(ctx, conn, link.Channel); err != nil {
		return fmt.Errorf("take the old link of %s away: %w", a.Op.To.Name, err)
	}
	return nil
}

// linkTo finds the link whose source is the instance i.
func linkTo(links []topology.Link, i topology.Instance, s *server) (topology.Link, bool) {
	id := s.serverID()
	for _, l := range links {
		if l.Source == i.Address || (id != 0 && l.SourceServerID == id) {
			return l, true
		}
	}
	return topology.Link{}, false
}
