package rejoin

import (
	"context"
	"fmt"

	"github.com/onewriter/onewriter/internal/flavor"
)

// semiSync makes old acknowledge and then the primary wait for it. The primary's side comes last, when somebody is there
// who acknowledges: with a long timeout every commit would hang otherwise.
func semiSync(ctx context.Context, old, primary Server, channel string) error {
	state, err := old.Dialect.SemiSync(ctx, old.DB)
	if err != nil {
		return fmt.Errorf("read the semi-sync state of %s: %w", old.Instance.Name, err)
	}
	if state.Source {
		if err := sourceOff(ctx, old); err != nil {
			return err
		}
	}
	if !state.Replica {
		if err := old.Dialect.SetSemiSyncReplica(ctx, old.DB, true); err != nil {
			return fmt.Errorf("switch the replica side of semi-sync on %s on: %w", old.Instance.Name, err)
		}
		if err := restartReceiver(ctx, old, channel); err != nil {
			return err
		}
	}
	if err := awaitAcknowledger(ctx, old, primary); err != nil {
		return err
	}
	if err := primary.Dialect.SetSemiSyncSource(ctx, primary.DB, true); err != nil {
		return fmt.Errorf("switch the source side of semi-sync on %s on: %w", primary.Instance.Name, err)
	}
	return nil
}

// restartReceiver restarts the receiver alone, which loses nothing on MariaDB either.
func restartReceiver(ctx context.Context, s Server, channel string) error {
	if err := s.Dialect.StopReplica(ctx, s.DB, channel, flavor.ReceiverThread); err != nil {
		return fmt.Errorf("stop the receiver of %s: %w", s.Instance.Name, err)
	}
	return start(ctx, s, channel, flavor.ReceiverThread)
}

// awaitAcknowledger waits until primary has a replica that would acknowledge.
func awaitAcknowledger(ctx context.Context, old, primary Server) error {
	what := primary.Instance.Name + " does not see that " + old.Instance.Name + " acknowledges; commits would wait for ever"
	return await(ctx, what, func() (bool, error) {
		n, err := flavor.SemiSyncClients(ctx, primary.DB)
		if err != nil {
			return false, fmt.Errorf("count the acknowledgers of %s: %w", primary.Instance.Name, err)
		}
		return n > 0, nil
	})
}
