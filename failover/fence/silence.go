package fence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/topology"
)

// ErrNotSilenced means that the old primary may acknowledge commits without the candidate.
var ErrNotSilenced = errors.New("semi-sync does not keep the server from acknowledging commits")

const (
	endless    = time.Hour // a semi-sync time-out from which on a source counts as never going on alone
	stopWithin = 5 * time.Second
)

// ProveSilenced stops the receiver of candidate, whose link from the old primary is called channel. When the old primary,
// as it was seen last, shows no commit before an acknowledgement, never goes on without one, and has one server alone
// that gives them, which was the candidate by what that said of itself then, it cannot acknowledge anything from then on,
// whatever becomes of clocks and networks. The applier of the candidate goes on.
func ProveSilenced(ctx context.Context, candidate Server, channel string, was, candidateWas flavor.SemiSync) (*Proof, error) {
	if err := dependsOnOne(was); err != nil {
		return nil, err
	}
	if !candidateWas.Acknowledges {
		return nil, fmt.Errorf("%w: %s was not seen to acknowledge, so somebody else may", ErrNotSilenced, candidate.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	if now, err := candidate.Dialect.SemiSync(ctx, candidate.DB); err != nil {
		return nil, fmt.Errorf("read the semi-sync state of %s: %w", candidate.Name, err)
	} else if !now.Replica {
		return nil, fmt.Errorf("%w: %s does not acknowledge, so somebody else does", ErrNotSilenced, candidate.Name)
	}
	if err := candidate.Dialect.StopReplica(ctx, candidate.DB, channel, flavor.ReceiverThread); err != nil {
		return nil, fmt.Errorf("stop the receiver of %s: %w", candidate.Name, err)
	}
	facts, err := candidate.Dialect.Observe(ctx, candidate.DB)
	if err != nil {
		return nil, fmt.Errorf("observe %s: %w", candidate.Name, err)
	}
	i := slices.IndexFunc(facts.Links, func(l topology.Link) bool { return l.Channel == channel })
	switch {
	case i < 0:
		return nil, fmt.Errorf("%w: %s has no link %q", ErrNotSilenced, candidate.Name, channel)
	case facts.Links[i].IO != topology.ThreadNo:
		return nil, fmt.Errorf("%w: the receiver of %s is %s", ErrNotSilenced, candidate.Name, facts.Links[i].IO)
	}
	return &Proof{of: facts.Links[i].Source, kind: BySemiSync, valid: true, lines: []string{
		fmt.Sprintf("Commits waited for %s alone (AFTER_SYNC, time-out %s), whose receiver was seen stopped.", candidate.Name, was.Timeout),
	}}, nil
}

// dependsOnOne is the error that a source which was as given may acknowledge without its one acknowledger.
func dependsOnOne(was flavor.SemiSync) error {
	switch {
	case !was.Source || !was.Active:
		return fmt.Errorf("%w: its source side was not active", ErrNotSilenced)
	case !was.AfterSync:
		return fmt.Errorf("%w: its wait point is not AFTER_SYNC", ErrNotSilenced)
	case was.Timeout < endless:
		return fmt.Errorf("%w: it goes on without acknowledgement after %s", ErrNotSilenced, was.Timeout)
	case !was.WaitsAlone:
		return fmt.Errorf("%w: it does not wait while no server is connected that acknowledges (wait_no_slave is off)", ErrNotSilenced)
	case was.Clients != 1:
		return fmt.Errorf("%w: %d servers acknowledged", ErrNotSilenced, was.Clients)
	default:
		return nil
	}
}
