package rejoin

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/failover/fence"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/topology"
)

// Quarantine makes s read-only for certain, stops both threads of all its links and switches its source side of
// semi-sync off. It can be repeated. The links are
// stopped even when s could not be closed; the error then wraps what package fence says.
func Quarantine(ctx context.Context, s Server, l fence.Limits) error {
	_, err := Close(ctx, s, l)
	if err == nil {
		err = sourceOff(ctx, s)
	}
	if err == nil {
		return stopLinks(ctx, s)
	}
	bounded, cancel := context.WithTimeout(ctx, l.Budget) // an applier whose commit waits for an acknowledgement does not stop
	defer cancel()
	return errors.Join(err, stopLinks(bounded, s))
}

// Close makes s read-only for certain and tells how. A fence that hangs because commits wait for an acknowledgement that
// nobody gives is helped: all clients are cut off, then the commits are let go; their clients never hear of success.
func Close(ctx context.Context, s Server, l fence.Limits) (fence.Report, error) {
	report, err := attempt(ctx, s, l)
	if err == nil || ctx.Err() != nil {
		return report, err
	}
	semi, readErr := s.Dialect.SemiSync(ctx, s.DB)
	if readErr != nil || !semi.Source {
		return report, errors.Join(err, readErr)
	}
	if cutErr := cutClients(ctx, s); cutErr != nil {
		return report, errors.Join(err, cutErr)
	}
	if err := sourceOff(ctx, s); err != nil {
		return report, err
	}
	return attempt(ctx, s, l)
}

// attempt fences s once.
func attempt(ctx context.Context, s Server, l fence.Limits) (fence.Report, error) {
	a, err := fence.New(ctx, s.fencing(), l)
	if err != nil {
		return fence.Report{}, err
	}
	defer a.Release()
	_, err = a.Close(ctx)
	return a.Report(), err
}

// sourceOff switches the source side of semi-sync off, which belongs to the primary alone.
func sourceOff(ctx context.Context, s Server) error {
	if err := s.Dialect.SetSemiSyncSource(ctx, s.DB, false); err != nil {
		return fmt.Errorf("switch the source side of semi-sync on %s off: %w", s.Instance.Name, err)
	}
	return nil
}

// cutClients ends all ordinary sessions, so that nobody hears that a commit succeeded. When one that is not idle cannot be
// ended (on MySQL an account with SYSTEM_USER) the commits must not be let go.
func cutClients(ctx context.Context, s Server) error {
	sessions, err := s.Dialect.Sessions(ctx, s.DB)
	if err != nil {
		return fmt.Errorf("list the sessions of %s: %w", s.Instance.Name, err)
	}
	var errs []error
	for _, x := range sessions {
		if x.User == s.ControlUser || x.Replication || x.System {
			continue
		}
		idle := x.Command == "Sleep" && !x.InTransaction
		if err := s.Dialect.Kill(ctx, s.DB, x.ID); err != nil && !gone(err) && !idle {
			errs = append(errs, fmt.Errorf("end connection %d of %s@%s on %s, whose commit may wait for an acknowledgement: %w", x.ID, x.User, x.Host, s.Instance.Name, err))
		}
	}
	return errors.Join(errs...)
}

// gone reports whether a connection could not be ended because it does not exist any more (ER_NO_SUCH_THREAD).
func gone(err error) bool {
	var e *mysql.MySQLError
	return errors.As(err, &e) && e.Number == 1094
}

// stopLinks stops both threads of all links and sees them stopped. What was received and not applied can be fetched
// again: the server that came back is not where the truth is.
func stopLinks(ctx context.Context, s Server) error {
	facts, err := s.observe(ctx)
	if err != nil {
		return err
	}
	for _, l := range facts.Links {
		if l.IO == topology.ThreadNo && l.SQL == topology.ThreadNo {
			continue
		}
		if err := s.Dialect.StopReplica(ctx, s.DB, l.Channel, flavor.BothThreads); err != nil {
			return fmt.Errorf("stop the link of %s to %s: %w", s.Instance.Name, l.Source, err)
		}
	}
	return awaitStopped(ctx, s)
}

func awaitStopped(ctx context.Context, s Server) error {
	return await(ctx, "the links of "+s.Instance.Name+" do not stop", func() (bool, error) {
		facts, err := s.observe(ctx)
		return !anyThread(facts.Links), err
	})
}

// anyThread reports whether a thread of a link runs.
func anyThread(links []topology.Link) bool {
	for _, l := range links {
		if l.IO != topology.ThreadNo || l.SQL != topology.ThreadNo {
			return true
		}
	}
	return false
}
