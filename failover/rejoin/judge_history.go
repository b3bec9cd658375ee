package rejoin

import (
	"context"
	"fmt"

	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
)

// judgeHistory compares the two by GTID.
func (e evidence) judgeHistory(ctx context.Context, j *Judgement) error {
	name := e.old.Instance.Name
	switch {
	case e.was.Position.Empty() && !e.is.Position.Empty():
		j.because(Unknown, name+" has no history at all, so nothing says what its data are.")
		return nil
	case e.is.Flavor == "mariadb" && !e.is.LogsUpdates:
		j.because(Unknown, "log_slave_updates is off on "+e.primary.Instance.Name+", so its history does not tell what it has of "+name+".")
		return nil
	}
	lost, err := e.lostOwn(ctx)
	if err != nil {
		return err
	}
	if lost != "" {
		j.because(RebuiltWithSameID, fmt.Sprintf("%s lacks transactions that it wrote itself and that %s has (%s). As long as it has the same "+
			"server_id it would skip them silently: it was restored from an older copy, or a crash took the end of its binary log.", name, e.primary.Instance.Name, lost))
	}
	if e.is.Position.Contains(e.was.Position) {
		return e.reachable(ctx, j)
	}
	j.because(Diverged, fmt.Sprintf("%s has transactions that %s does not have: %s against %s.", name, e.primary.Instance.Name, e.was.Position, e.is.Position))
	e.listErrant(ctx, j)
	return ctx.Err()
}

// lostOwn names the transactions of the old server itself that the primary has and the old server lacks.
func (e evidence) lostOwn(ctx context.Context) (string, error) {
	if e.was.Position.Kind() == gtid.KindMariaDB {
		return e.was.Position.LostOf(e.was.ServerID, e.is.Position).String(), nil
	}
	missing := gtid.Minus(e.is.Position, e.was.Position)
	own := missing.OfSource(e.was.ServerUUID)
	if seen, err := gtid.ParseMySQL(e.departure.Seen); err == nil {
		own = gtid.Union(own, gtid.Common(missing, seen))
	}
	if !own.Empty() {
		return own.String(), nil
	}
	return e.lostUnderOtherUUID(ctx, gtid.Minus(missing, missing.OfSource(e.is.ServerUUID)))
}

// lostUnderOtherUUID looks in the primary's binary log which of the missing transactions, written under a server_uuid
// that belongs to neither, carry the server_id of the old server: it had another server_uuid before it was rebuilt.
func (e evidence) lostUnderOtherUUID(ctx context.Context, missing gtid.Position) (string, error) {
	if missing.Empty() {
		return "", nil
	}
	list, err := binlog.Errant(ctx, e.primary.Binlog, e.primary.DB, gtid.Minus(e.is.Position, missing))
	if err != nil {
		return "", fmt.Errorf("look for transactions of server_id %d in the binary log of %s: %w", e.was.ServerID, e.primary.Instance.Name, err)
	}
	lost, _ := gtid.ParseMySQL("")
	for _, t := range list {
		if g, err := gtid.ParseMySQL(t.GTID); err == nil && t.Server == e.was.ServerID {
			lost = gtid.Union(lost, gtid.Common(g, missing))
		}
	}
	return lost.String(), nil
}

// reachable checks that the primary still has the binary logs that the old server needs.
func (e evidence) reachable(ctx context.Context, j *Judgement) error {
	purged, err := flavor.Purged(ctx, e.primary.DB, e.primary.Dialect)
	if err != nil {
		return fmt.Errorf("judge against %s: %w", e.primary.Instance.Name, err)
	}
	if purged.Known() && !e.was.Position.Contains(purged) {
		j.because(Unknown, fmt.Sprintf("%s has nothing that %s lacks, but %s has already deleted binary logs that it would need (%s): it has to be rebuilt.",
			e.old.Instance.Name, e.primary.Instance.Name, e.primary.Instance.Name, gtid.Minus(purged, e.was.Position)))
	}
	return nil
}

// listErrant reads the transactions that the primary lacks out of the old server's binary log.
func (e evidence) listErrant(ctx context.Context, j *Judgement) {
	list, err := binlog.Errant(ctx, e.old.Binlog, e.old.DB, e.is.Position)
	if err != nil {
		j.Reasons = append(j.Reasons, fmt.Sprintf("They could not be listed: %v.", err))
		return
	}
	for _, t := range list {
		if g, err := gtid.Parse(t.GTID); err == nil && e.was.Position.Contains(g) && !e.is.Position.Contains(g) {
			j.Errant = append(j.Errant, t)
		}
	}
	want, counted := gtid.Missing(e.is.Position, e.was.Position)
	counted = counted && e.was.Position.Kind() == gtid.KindMySQL // MariaDB's sequence numbers are no numbers of transactions
	complete := !counted || want == uint64(len(j.Errant))
	if !complete {
		j.Reasons = append(j.Reasons, fmt.Sprintf("Its binary log holds only %d of these %d transactions.", len(j.Errant), want))
	}
	j.OwnOnly = complete && ownOnly(j.Errant)
}
