package fence

import (
	"context"
	"errors"
	"fmt"
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
// as it was seen last, shows no commit before an acknowledgement, never goes on without one, and has no other server
// that gives one, it cannot acknowledge anything from then on, whatever becomes of clocks and networks. The applier of
// the candidate goes on.
func ProveSilenced(ctx context.Context, candidate Server, channel string, was flavor.SemiSync) (*Proof, error) {
	switch {
	case !was.Source || !was.Active:
		return nil, fmt.Errorf("%w: its source side was not active", ErrNotSilenced)
	case !was.AfterSync:
		return nil, fmt.Errorf("%w: its wait point is not AFTER_SYNC", ErrNotSilenced)
	case was.Timeout < endless:
		return nil, fmt.Errorf("%w: it goes on without acknowledgement after %s", ErrNotSilenced, was.Timeout)
	case was.Clients != 1:
		return nil, fmt.Errorf("%w: %d servers acknowledged", ErrNotSilenced, was.Clients)
	}
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	if err := candidate.Dialect.StopReplica(ctx, candidate.DB, channel, flavor.ReceiverThread); err != nil {
		return nil, fmt.Errorf("stop the receiver of %s: %w", candidate.Name, err)
	}
	facts, err := candidate.Dialect.Observe(ctx, candidate.DB)
	if err != nil {
		return nil, fmt.Errorf("observe %s: %w", candidate.Name, err)
	}
	for _, l := range facts.Links {
		if l.Channel == channel && l.IO != topology.ThreadNo {
			return nil, fmt.Errorf("%w: the receiver of %s is %s", ErrNotSilenced, candidate.Name, l.IO)
		}
	}
	return &Proof{of: "the source of " + candidate.Name, kind: BySemiSync, valid: true, lines: []string{
		fmt.Sprintf("Commits waited for %s alone (AFTER_SYNC, time-out %s), whose receiver was seen stopped.", candidate.Name, was.Timeout),
	}}, nil
}
