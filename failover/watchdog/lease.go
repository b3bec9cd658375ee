package watchdog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
)

var (
	// ErrClosed means that a lease was to be renewed on a server that is read-only.
	ErrClosed = errors.New("the server is read-only")
	// ErrNotInstalled means that the event is missing or not enabled.
	ErrNotInstalled = errors.New("the event of the watchdog is not enabled")
)

// stale is the age from which on the last execution of the event means that it is not executed.
const stale = 3

// sight is what a server says of its watchdog.
type sight struct {
	serverID uint32
	clock    int64     // the server's, in microseconds since 1970
	at       time.Time // our time when that arrived
	ticking  bool      // the event has run in the last seconds
}

// look reads the server's clock and whether its watchdog works.
func look(ctx context.Context, q flavor.Querier) (sight, error) {
	var s sight
	var readOnly, enabled bool
	var age int64
	err := q.QueryRowContext(ctx, `SELECT @@global.server_id, `+clock+`, NOT (`+off("@@global.read_only")+`), COALESCE(MAX(status = 'ENABLED'), 0),
COALESCE(MIN(TIMESTAMPDIFF(SECOND, last_executed, UTC_TIMESTAMP())), ?) FROM information_schema.events
WHERE event_schema = 'onewriter' AND event_name = 'watchdog'`, stale+1).Scan(&s.serverID, &s.clock, &readOnly, &enabled, &age)
	s.at, s.ticking = time.Now(), age >= -stale && age <= stale // last_executed is in the time zone it was installed in
	switch {
	case err != nil:
		return s, fmt.Errorf("read the state of the watchdog: %w", err)
	case readOnly:
		return s, ErrClosed
	case !enabled:
		return s, ErrNotInstalled
	default:
		return s, nil
	}
}

// renew prolongs the lease of the server that was looked at to ttl from now on. The new end is absolute, in the
// server's own time, so that a statement that is executed late does not prolong it.
func renew(ctx context.Context, q flavor.Querier, s sight, ttl time.Duration, holder string) error {
	expires := s.clock + (time.Since(s.at) + ttl).Microseconds()
	r, err := q.ExecContext(ctx, "UPDATE "+table+" SET expires = ?, epoch = "+newestEpoch+", active = TRUE, holder = ? WHERE server_id = ?",
		expires, holder, s.serverID)
	if err != nil {
		return fmt.Errorf("renew the lease: %w", err)
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		_, err = q.ExecContext(ctx, "INSERT INTO "+table+" (server_id, expires, epoch, active, holder) SELECT ?, ?, "+newestEpoch+", TRUE, ?",
			s.serverID, expires, holder)
	}
	if err != nil {
		return fmt.Errorf("take the lease: %w", err)
	}
	return nil
}
