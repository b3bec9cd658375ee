package rewind

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// undone is a transaction of the tail that has to be undone.
type undone struct {
	binlog.Transaction
	// replicated: the primary has it and sends it again.
	replicated bool
}

// name is how a transaction is called in sentences.
func (u undone) name() string {
	name := u.GTID
	if name == "" {
		name = u.Place.String()
	}
	if u.replicated {
		name += ", which was replicated,"
	}
	return name
}

// tail gives everything that has to be undone, oldest first: all from the first errant transaction on, because what was
// replicated after it may lie on top of its rows. When there is such, a link by file and position begins anew at the
// place of the promotion, so that what it brought before the first errant one has to go too.
func (p *planner) tail(ctx context.Context, errant []binlog.Transaction) ([]undone, error) {
	if len(errant) == 0 {
		return nil, nil
	}
	first := errant[0].Place
	from := first
	if p.t.FilePos && p.t.Since.Known() && first.Contains(p.t.Since) {
		from = p.t.Since
	}
	facts, err := p.t.Dialect.Observe(ctx, p.conn)
	if err != nil {
		return nil, err
	}
	all, err := binlog.Tail(ctx, p.t.Binlog, p.conn, from)
	if err != nil {
		return nil, err
	}
	list, own := mark(all, errant)
	if own != len(errant) {
		return nil, fmt.Errorf("%w: the binary log holds %d of %d errant transactions", ErrChanged, own, len(errant))
	}
	at := 0
	for at < len(list) && !list[at].Place.Equal(first) {
		at++
	}
	if replicated(list[at:]) == 0 {
		return list[at:], nil
	}
	if len(facts.Links) > 1 {
		p.refuse("%s has replicated after the first of them and has %d links, so that it cannot be told what to fetch again.", p.t.Name, len(facts.Links))
	}
	if p.t.FilePos && !p.t.Since.Known() {
		p.refuse("%s has replicated after the first of them, and it is not recorded since when.", p.t.Name)
	}
	return p.fetched(list, facts.ServerID), nil
}

// mark tells the errant transactions from the others, and counts them.
func mark(all, errant []binlog.Transaction) (list []undone, own int) {
	places := map[string]bool{}
	for _, t := range errant {
		places[t.Place.String()] = true
	}
	for _, t := range all {
		u := undone{Transaction: t, replicated: !places[t.Place.String()]}
		if !u.replicated {
			own++
		}
		list = append(list, u)
	}
	return list, own
}

// fetched refuses what the server wrote itself and the primary has: it would not take it from there. At the beginning
// it can stay.
func (p *planner) fetched(list []undone, id uint32) []undone {
	for len(list) > 0 && list[0].replicated && list[0].Server == id {
		list = list[1:]
	}
	for _, u := range list {
		if u.replicated && u.Server == id {
			p.refuse("%s wrote %s itself, and the primary has it: once undone it would not be fetched again.", p.t.Name, u.Place)
		}
	}
	return list
}

// replicated counts the transactions that the primary sends again.
func replicated(list []undone) (n int) {
	for _, u := range list {
		if u.replicated {
			n++
		}
	}
	return n
}

// without gives what is left of the claim when the replicated part of the tail is forgotten as well.
func (t Target) without(ctx context.Context, claim gtid.Position, tail []undone) (gtid.Position, error) {
	if !claim.Known() || replicated(tail) == 0 {
		return claim, nil
	}
	if claim.Kind() == gtid.KindMariaDB { // a number less than the first one's need not exist
		before, err := binlog.HistoryAt(ctx, t.Binlog, tail[0].Place)
		if err != nil {
			return claim, err
		}
		return gtid.Common(before, claim), nil
	}
	ids := make([]string, len(tail))
	for i, u := range tail {
		ids[i] = u.GTID
	}
	gone, err := gtid.ParseMySQL(strings.Join(ids, ","))
	if err != nil {
		return claim, err
	}
	return gtid.Minus(claim, gone), nil
}

// pin makes the links unable to bring anything, also after a restart, before the replicated part of the tail is undone:
// they know only how to go on behind it. They stay so when it has succeeded.
func (p Plan) pin(ctx context.Context, t Target, conn *sql.Conn, links []topology.Link) error {
	if p.Refetch == 0 {
		return nil
	}
	for _, l := range links {
		if flavor.Pinned(l) {
			continue
		}
		if err := flavor.PinLink(ctx, conn, t.Dialect, l); err != nil {
			return err
		}
	}
	return nil
}

// unpin gives the links their places back when nothing was undone.
func (p Plan) unpin(ctx context.Context, t Target, conn *sql.Conn, links []topology.Link) error {
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	if _, committed, err := readMarker(after, t.DB); p.Refetch == 0 || err != nil || committed {
		return nil //nolint:nilerr // it may be committed
	}
	var errs []error
	for _, l := range links {
		var at gtid.Position
		if !l.UsesGTID {
			at = l.AppliedFile
		}
		if !flavor.Pinned(l) {
			errs = append(errs, flavor.PointLink(after, conn, t.Dialect, l, at))
		}
	}
	return errors.Join(errs...)
}
