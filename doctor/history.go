package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/internal/pause"
	"github.com/onewriter/onewriter/topology"
)

const (
	historyTries = 10 // how often the other server is read again before it counts as lacking something
	historyWait  = 100 * time.Millisecond
)

var errNoGTID = errors.New("without GTID histories cannot be compared")

// mark is a place in the primary's binary log and everything that came before it.
type mark struct {
	primary string
	history gtid.Position
	place   gtid.Position
}

// diverged looks for standbys with transactions that the primary lacks. The standby was read before the primary, so
// that what it has only just received is no difference.
func diverged(ctx context.Context, x *examination) error {
	p, err := x.thePrimary()
	if err != nil {
		return err
	}
	for _, s := range x.examined() {
		if !x.isStandby(s) {
			continue
		}
		if s.facts.Position.Kind() == gtid.KindFile || p.facts.Position.Kind() == gtid.KindFile {
			return errNoGTID
		}
		have, err := awaitHistory(ctx, p, s.facts.Position)
		if err != nil {
			return fmt.Errorf("read the position of %s: %w", p.name(), err)
		}
		if !have.Contains(s.facts.Position) {
			x.foundDiverged(p, s, have)
		}
	}
	return nil
}

// awaitHistory reads the history of s until it contains want, about a second long.
func awaitHistory(ctx context.Context, s *server, want gtid.Position) (have gtid.Position, err error) {
	for range historyTries {
		if have, err = s.dialect.Position(ctx, s.q); err != nil || have.Contains(want) {
			return have, err
		}
		if err := pause.For(ctx, historyWait); err != nil {
			return have, err
		}
	}
	return have, nil
}

func (x *examination) foundDiverged(p, s *server, have gtid.Position) {
	evidence := []string{s.name() + " has " + s.facts.Position.String(), p.name() + " has " + have.String()}
	if extra := gtid.Minus(s.facts.Position, have); extra.Known() {
		evidence = append(evidence, "only on "+s.name()+": "+extra.String())
	}
	x.find("HISTORY_DIVERGED", s.name(), fmt.Sprintf(
		"It has transactions that the primary %s lacks: somebody wrote on it, or it was the primary once and was not taken back properly. Making it the primary would bring these transactions back and may break replication.", p.name()),
		evidence, "onewriter rejoin "+s.name()+" --dry-run")
}

// skipped looks for standbys that are past a place in the primary's binary log and still lack something of what
// is in it. The place is taken now or, for a standby that is behind, was taken in an earlier examination.
func skipped(ctx context.Context, x *examination) error {
	p, err := x.thePrimary()
	if err != nil {
		return err
	}
	if !p.facts.BinaryLog {
		return nil // another finding
	}
	if p.facts.Position.Kind() == gtid.KindFile {
		return errNoGTID
	}
	now := mark{primary: p.name()}
	if now.history, err = p.dialect.Position(ctx, p.q); err == nil {
		now.place, err = p.dialect.BinlogPosition(ctx, p.q)
	}
	if err != nil {
		return fmt.Errorf("read the position of %s: %w", p.name(), err)
	}
	for _, s := range x.examined() {
		if !x.isStandby(s) || !s.facts.LogsUpdates {
			continue
		}
		if err := x.skippedBy(ctx, p, s, now); err != nil {
			return fmt.Errorf("read the position of %s: %w", s.name(), err)
		}
	}
	return nil
}

func (x *examination) skippedBy(ctx context.Context, p, s *server, now mark) error {
	x.d.mu.Lock()
	before := x.d.marks[s.name()]
	x.d.mu.Unlock()
	for range historyTries {
		facts, err := s.dialect.Observe(ctx, s.q)
		if err != nil {
			return err
		}
		l, ok := runningFrom(facts.Links, p.facts.ServerID)
		if !ok {
			return nil // other findings
		}
		for _, m := range []mark{now, before} {
			have, passed := passedBy(l, facts.Position, m.place)
			if m.primary != p.name() || !passed {
				continue
			}
			lacks, err := s.lacksForGood(ctx, have, m.history)
			if err != nil {
				return err
			}
			if lacks {
				x.foundSkipped(p, s, m, have)
			}
			x.remember(s.name(), now)
			return nil
		}
		if err := pause.For(ctx, historyWait); err != nil {
			return err
		}
	}
	x.remember(s.name(), now)
	return nil
}

// lacksForGood reports whether a standby that is past the place really lacks something of want: workers of a parallel
// applier may still have it in hand.
func (s *server) lacksForGood(ctx context.Context, have, want gtid.Position) (bool, error) {
	if have.Contains(want) {
		return false, nil
	}
	idle, err := flavor.AppliersIdle(ctx, s.q, s.dialect)
	if err != nil || !idle {
		return false, err
	}
	now, err := s.dialect.Position(ctx, s.q)
	return !now.Contains(want) && !gtid.Union(now, have).Contains(want), err
}

// passedBy reports whether the link is past the place, and what the standby then has for good. Of MySQL that is what it
// has received as well: the place up to which it has applied lags behind while nothing comes, and what it skips is not
// among the received.
func passedBy(l topology.Link, history, place gtid.Position) (have gtid.Position, passed bool) {
	if l.UsesGTID && history.Kind() == gtid.KindMySQL {
		return gtid.Union(history, l.Received), l.ReceivedFile.Contains(place)
	}
	return history, l.AppliedFile.Contains(place)
}

func (x *examination) remember(standby string, m mark) {
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	x.d.marks[standby] = m
}

// runningFrom finds the link from the server with that id if both its threads run.
func runningFrom(links []topology.Link, id uint32) (topology.Link, bool) {
	for _, l := range links {
		if l.SourceServerID == id && l.Running() {
			return l, true
		}
	}
	return topology.Link{}, false
}

func (x *examination) foundSkipped(p, s *server, m mark, have gtid.Position) {
	evidence := []string{
		"it is past the place " + m.place.String() + " in the binary log of " + p.name(),
		p.name() + " had " + m.history.String() + " there", s.name() + " has " + have.String(),
	}
	if lacks := gtid.Minus(m.history, have); lacks.Known() {
		evidence = append(evidence, "missing: "+lacks.String())
	}
	x.find("EVENTS_SKIPPED", s.name(), fmt.Sprintf(
		"It has applied everything that %s sent, and still lacks transactions. A server that was rebuilt from a backup and kept its old server_id skips all that it wrote itself in its former life, while both replication threads say Yes. Do not make it the primary.", p.name()),
		evidence, "rebuild "+s.name()+" from a fresh backup of "+p.name(),
		fmt.Sprintf("give it a server_id that was never used (now %d)%s before replication starts", s.facts.ServerID, autoCnf(s)))
}

func autoCnf(s *server) string {
	if s.dialect.Kind() == flavor.KindMariaDB {
		return ""
	}
	return " and remove auto.cnf"
}
