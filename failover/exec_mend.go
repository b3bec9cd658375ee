package failover

import (
	"context"
	"errors"
	"fmt"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/topology"
)

// mend starts what does not run of a standby's link from the primary. What it has received and not applied may be deleted by
// that (MariaDB): the primary, which serves, has it.
func (e *executor) mend(ctx context.Context, a actRun, ev evidence) (err error) {
	conn, d, err := e.servers[a.Op.Server].conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	facts, err := d.Observe(ctx, conn)
	if err != nil {
		return fmt.Errorf("observe %s: %w", a.Op.Server, err)
	}
	l, ok := linkTo(facts.Links, a.Op.To, e.servers[a.Op.To.Name])
	switch {
	case !ok:
		return fmt.Errorf("%s has no link from %s any more", a.Op.Server, a.Op.To.Name)
	case facts.Writable():
		return fmt.Errorf("%s is writable", a.Op.Server)
	case l.SQLErrno != 0:
		return fmt.Errorf("the applier of %s has stopped%s", a.Op.Server, withError(l.SQLErrno, l.SQLError))
	case l.Running():
		return nil
	}
	ev.add(a.Op.Server, "receiver %s%s, applier %s", l.IO, withError(l.IOErrno, l.IOError), l.SQL)
	which := flavor.BothThreads
	switch {
	case l.SQL == topology.ThreadYes:
		which = flavor.ReceiverThread
	case l.IO != topology.ThreadNo:
		which = flavor.ApplierThread
	}
	if err := d.StartReplica(ctx, conn, l.Channel, which); err != nil {
		return fmt.Errorf("start the replication of %s again: %w", a.Op.Server, err)
	}
	return nil
}
