package rewind

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// Interrupted reports whether a rewind on the server was interrupted after its rows were undone. Until Resume has
// ended, the server's history means nothing: it may name transactions that are undone, or nothing at all.
func Interrupted(ctx context.Context, t Target) (bool, error) {
	_, there, err := readMarker(ctx, t.DB)
	if err != nil {
		return false, fmt.Errorf("%s: %w", t.Name, err)
	}
	return there, nil
}

// Resume completes a rewind that was interrupted after its rows were undone; ok is false when there is none. Have of the
// target is not needed. The server must be as for Undo. When it has written transactions of its own since, it is left as
// it is (ErrChanged).
func Resume(ctx context.Context, t Target) (r Report, ok bool, err error) {
	began := time.Now()
	m, there, err := readMarker(ctx, t.DB)
	if err != nil || !there {
		return r, false, err
	}
	facts, err := t.quiet(ctx)
	if err != nil {
		return r, true, err
	}
	if m.claim, err = m.without(facts); err != nil {
		return r, true, fmt.Errorf("resume the rewind of %s: %w", t.Name, err)
	}
	err = t.writing(ctx, func(conn *sql.Conn) error { return t.forget(ctx, conn, m) })
	if err != nil {
		return r, true, fmt.Errorf("resume the rewind of %s: %w", t.Name, err)
	}
	r = m.report()
	r.Took = time.Since(began)
	return r, true, nil
}

// without gives the history that the server has to claim: what it has now without the undone transactions. Its links
// may have started by themselves after a restart and have brought more; what it wrote itself since is ErrChanged. A
// file position says nothing after the log was emptied.
func (m marker) without(facts topology.Facts) (gtid.Position, error) {
	now := facts.Position
	if !m.claim.Known() {
		return m.claim, nil
	}
	changed := fmt.Errorf("%w: it was interrupted at %s, now the server is at %s", ErrChanged, m.was, now)
	if now.Kind() != m.was.Kind() {
		return now, changed
	}
	if now.Kind() == gtid.KindMariaDB {
		return m.withoutByServer(now, facts.ServerID, changed)
	}
	tail := gtid.Minus(m.was, m.claim)
	left := gtid.Minus(now, tail)
	news := gtid.Minus(left, m.claim)
	switch {
	case !gtid.Common(now, tail).Empty() && !now.Contains(tail), !news.OfSource(facts.ServerUUID).Empty():
		return now, changed
	default:
		return gtid.Union(left, m.claim), nil
	}
}

// withoutByServer goes through the domains and servers of a MariaDB history.
func (m marker) withoutByServer(now gtid.Position, own uint32, changed error) (gtid.Position, error) {
	was, claim := entries(m.was), entries(m.claim)
	left := []string{m.claim.String()}
	for k, seq := range entries(now) {
		tail := was[k] != claim[k]
		switch {
		case tail && seq != was[k] && seq != claim[k], !tail && k.server == own && seq > was[k]:
			return now, changed
		case !tail:
			left = append(left, fmt.Sprintf("%d-%d-%d", k.domain, k.server, seq))
		}
	}
	return gtid.ParseMariaDB(strings.Join(left, ","))
}

type origin struct{ domain, server uint32 }

// entries takes a MariaDB position apart.
func entries(p gtid.Position) map[origin]uint64 {
	out := map[origin]uint64{}
	for e := range strings.SplitSeq(p.String(), ",") {
		var o origin
		var seq uint64
		if n, err := fmt.Sscanf(e, "%d-%d-%d", &o.domain, &o.server, &seq); n == 3 && err == nil {
			out[o] = seq
		}
	}
	return out
}
