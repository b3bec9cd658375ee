package failover

import (
	"context"
	"fmt"
	"strings"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/failover/rejoin"
	"github.com/onewriter/onewriter/failover/rewind"
	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/gtid"
)

// target is a server as package rewind wants it.
func target(s rejoin.Server, have gtid.Position) rewind.Target {
	return rewind.Target{Name: s.Instance.Name, DB: s.DB, Dialect: s.Dialect, Have: have, Binlog: s.Binlog, ControlUser: s.ControlUser}
}

// rewind undoes what only the server has, and what it has replicated on top of that. A standby that somebody opened has
// gone on replicating until now.
func (e *executor) rewind(ctx context.Context, a actRun, old, primary rejoin.Server, out *done) error {
	if err := rejoin.Quarantine(ctx, old, e.fenceLimits()); err != nil {
		return err
	}
	have, err := primary.Dialect.Position(ctx, primary.DB)
	if err != nil {
		return fmt.Errorf("read the position of %s: %w", primary.Instance.Name, err)
	}
	b := &e.back
	t := target(old, have)
	if t.FilePos = a.Op.Gone.FilePos; t.FilePos && a.Op.Gone.Binlog != "" {
		t.Since, _ = gtid.ParseFile(a.Op.Gone.Received) // unknown is refused where it is needed
	}
	plan, err := rewind.MakePlan(ctx, t, b.judgement.Errant)
	if err != nil {
		return fmt.Errorf("plan the rewind of %s: %w", a.Op.Server, err)
	}
	r, err := rewind.Undo(ctx, t, plan, e.cfg.KeepDir)
	if err != nil {
		return err
	}
	b.undone, b.tables = r.File, plan.Tables
	ev := evidence(out.Evidence)
	ev.add("undone", "%d transactions, %d rows in %s", r.Transactions, r.Rows, strings.Join(plan.Tables, ", "))
	if r.Refetch > 0 {
		ev.add("fetched again", "%d transactions that were replicated on top of them", r.Refetch)
	}
	ev.add("kept in", "%s", r.File)
	return nil
}

// verifyRewound compares the tables that a rewind has touched with the primary's, once, when the server has caught up. Both servers
// read them whole for that, so it is given half the time of a step; what was not compared in it is noted. Tables that are
// different are a verdict.
func (e *executor) verifyRewound(ctx context.Context, old, primary rejoin.Server, out *done) error {
	tables := e.back.tables
	if e.back.server != old.Instance.Name || len(tables) == 0 {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, e.cfg.Limits.Return/2)
	defer cancel()
	c, err := rewind.Verify(bounded, target(old, gtid.Position{}), target(primary, gtid.Position{}), tables)
	if ctx.Err() != nil {
		return ctx.Err() // something more important has to be done
	}
	e.back.tables = nil
	ev := evidence(out.Evidence)
	if len(c.Different) > 0 {
		out.Judged = judged{Verdict: verdictDifferent, Reasons: []string{fmt.Sprintf("After the rewind %s of %s and %s are different.",
			strings.Join(c.Different, ", "), old.Instance.Name, primary.Instance.Name)}}
		ev.add("different", "%s", strings.Join(c.Different, ", "))
		return nil
	}
	if err != nil {
		ev.add("not compared to the end", "%s: %v", strings.Join(tables, ", "), err)
	}
	ev.add("checksums equal", "%s", strings.Join(c.Equal, ", "))
	if len(c.Unsettled) > 0 {
		ev.add("not compared", "%s, which were written all the time", strings.Join(c.Unsettled, ", "))
	}
	return nil
}

// conflictsShown is how many rows that were written on both sides are named.
const conflictsShown = 20

// conflicts says which rows were written on both sides since the histories parted.
func (e *executor) conflicts(ctx context.Context, primary rejoin.Server, j rejoin.Judgement, d coord.Departure) []string {
	if j.Verdict != rejoin.Diverged || j.OwnOnly || e.cfg.BinlogSource == nil {
		return nil
	}
	theirs, err := writtenSince(ctx, primary, j, d)
	if err != nil {
		return []string{fmt.Sprintf("Which rows were written on both servers could not be found out: %v.", err)}
	}
	keys, err := rewind.KeysOf(ctx, primary.DB, primary.Dialect.Name() == "mariadb", j.Errant, theirs)
	if err != nil {
		return []string{fmt.Sprintf("Which rows were written on both servers could not be found out: %v.", err)}
	}
	list := rewind.Conflicts(j.Errant, theirs, keys)
	var out []string
	for i, c := range list {
		if i == conflictsShown {
			return append(out, fmt.Sprintf("%d more rows were written on both servers.", len(list)-i))
		}
		out = append(out, fmt.Sprintf("The row %s of %s.%s was written on both servers.", c.Key, c.Schema, c.Table))
	}
	return out
}

// writtenSince gives what primary has written since it was opened: also what the server that came back has fetched of
// it already. Without that place it is what the server lacks, by GTID; a place in its own log says nothing about another.
func writtenSince(ctx context.Context, primary rejoin.Server, j rejoin.Judgement, d coord.Departure) ([]binlog.Transaction, error) {
	from, err := gtid.ParseFile(d.Binlog)
	if err == nil {
		var list []binlog.Transaction
		if list, err = binlog.Errant(ctx, primary.Binlog, primary.DB, from); err == nil {
			return list, nil
		}
	}
	if j.Position.Kind() == gtid.KindFile {
		return nil, fmt.Errorf("read what %s has written since it was opened: %w", primary.Instance.Name, err)
	}
	return binlog.Errant(ctx, primary.Binlog, primary.DB, j.Position)
}
