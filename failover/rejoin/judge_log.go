package rejoin

import (
	"context"
	"fmt"

	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/gtid"
)

// judgeLog reads what the old server has in its own binary log behind the place up to which the primary has it. What it
// applied of the primary itself is no difference.
func (e evidence) judgeLog(ctx context.Context, j *Judgement) error {
	name := e.old.Instance.Name
	from, err := e.received()
	if err != nil {
		j.because(Unknown, "It is not recorded up to which place of the binary log of "+name+" the primary has everything.")
		return nil
	}
	end, err := e.old.Dialect.BinlogPosition(ctx, e.old.DB)
	if err != nil {
		return fmt.Errorf("read the position of the binary log of %s: %w", name, err)
	}
	if !e.was.GTID {
		j.Position = end
		if j.Primary, err = e.primary.Dialect.BinlogPosition(ctx, e.primary.DB); err != nil {
			return fmt.Errorf("read the position of the binary log of %s: %w", e.primary.Instance.Name, err)
		}
	}
	why, err := e.replaced(ctx, from, end)
	if err != nil {
		return err
	}
	if why != "" {
		j.because(RebuiltWithSameID, why)
		return nil
	}
	return e.readTail(ctx, j, from, end)
}

// received is the place in the binary log of the old server up to which the primary has everything. Where none was recorded
// because the role did not move, the primary's own link to that server, which was left alone, tells it.
func (e evidence) received() (gtid.Position, error) {
	d := e.departure
	if d.Received == "" && d.Why == "interrupted" {
		if l, ok := linkTo(e.is.Links, e.old, e.was.ServerID); ok && !parked(l) && l.AppliedFile.Known() {
			return l.AppliedFile, nil
		}
	}
	return gtid.ParseFile(d.Received)
}

// replaced says why the binary log is not the one that the place from is in, "" when it is.
func (e evidence) replaced(ctx context.Context, from, end gtid.Position) (string, error) {
	name := e.old.Instance.Name
	if e.departure.UUID != "" && e.was.ServerUUID != e.departure.UUID {
		return fmt.Sprintf("The server_uuid of %s was %s and is now %s: it was rebuilt, and file positions of before say nothing about it.",
			name, e.departure.UUID, e.was.ServerUUID), nil
	}
	if !end.Contains(from) {
		return fmt.Sprintf("The binary log of %s ends at %s, but the primary has received it up to %s: it was emptied, or %s was restored from an older copy.",
			name, end, from, name), nil
	}
	file, pos, _ := from.File()
	logs, err := binlog.Logs(ctx, e.old.DB)
	if err != nil {
		return "", fmt.Errorf("judge %s: %w", name, err)
	}
	for _, l := range logs {
		if l.Name == file && l.Size < pos {
			return fmt.Sprintf("%s of %s has %d bytes, but the primary has received it up to %d: a crash took the end of it, and with it transactions that %s "+
				"would skip when the primary sends them.", file, name, l.Size, pos, name), nil
		}
	}
	return "", nil
}

// readTail lists the transactions between the two places that did not come from the primary.
func (e evidence) readTail(ctx context.Context, j *Judgement, from, end gtid.Position) error {
	var list []binlog.Transaction
	err := binlog.Read(ctx, e.old.Binlog, from, end, func(t binlog.Transaction) error {
		if t.Server != e.is.ServerID {
			list = append(list, t)
		}
		return nil
	})
	name := e.old.Instance.Name
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("read the binary log of %s from %s: %w", name, from, err)
		}
		j.because(Unknown, fmt.Sprintf("The binary log of %s could not be read from %s on: %v.", name, from, err))
		return nil
	}
	if len(list) == 0 {
		return nil
	}
	if len(j.Errant) == 0 {
		j.Errant, j.OwnOnly = list, ownOnly(list)
	}
	j.because(Diverged, fmt.Sprintf("The binary log of %s holds %d transactions behind %s, up to which the primary has received it.", name, len(list), from))
	return nil
}
