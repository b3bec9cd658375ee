package flavor

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// waiter is a dialect as the functions of this file need it.
type waiter interface {
	Name() string
	Position(ctx context.Context, q Querier) (gtid.Position, error)
	links(ctx context.Context, q Querier) ([]topology.Link, error)
}

// waitChunk is how long a blocking wait goes on before the links are looked at again.
const waitChunk = time.Second

func wrongTarget(d waiter, target gtid.Position) error {
	return fmt.Errorf("%w: %s position %q on %s", ErrTarget, target.Kind(), target, d.Name())
}

// applied is Applied of all dialects; own is the kind of the server's own GTIDs.
func applied(ctx context.Context, q Querier, d waiter, own gtid.Kind, target gtid.Position) (bool, error) {
	switch target.Kind() {
	case own:
		pos, err := d.Position(ctx, q)
		return err == nil && pos.Contains(target), err
	case gtid.KindFile:
		l, err := linkFor(ctx, q, d, target)
		return err == nil && exactly(l, target), err
	default:
		return false, wrongTarget(d, target)
	}
}

// exactly: received and applied up to target and no further, and both threads run.
func exactly(l topology.Link, target gtid.Position) bool {
	return l.Running() && l.AppliedFile.Equal(target) && l.ReceivedFile.Equal(target)
}

// pollApplied looks each interval until the server's history contains target. A look costs about 0.1 ms.
func pollApplied(ctx context.Context, q Querier, d waiter, target gtid.Position, interval time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	next := time.Now().Add(waitChunk / 4)
	for {
		pos, err := d.Position(ctx, q)
		if err != nil {
			return err
		}
		if pos.Contains(target) {
			return nil
		}
		if time.Now().After(next) {
			next = time.Now().Add(waitChunk)
			if err := anyApplier(ctx, q, d); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s, is at %s: %w", target, pos, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// anyApplier fails when no link can bring anything.
func anyApplier(ctx context.Context, q Querier, d waiter) error {
	links, err := d.links(ctx, q)
	if err != nil {
		return err
	}
	why := "there is no link"
	for _, l := range links {
		if l.SQL == topology.ThreadYes {
			return nil
		}
		why = fmt.Sprintf("applier of %s: %d %s", l.Source, l.SQLErrno, l.SQLError)
	}
	return fmt.Errorf("%w: %s", ErrApplierStopped, why)
}

// waitFile waits with the server's own function until the link has executed target, then requires equality.
func waitFile(ctx context.Context, q Querier, d waiter, function string, target gtid.Position) error {
	for {
		l, err := linkFor(ctx, q, d, target)
		if err != nil {
			return err
		}
		if exactly(l, target) {
			return nil
		}
		if l.SQL != topology.ThreadYes || l.IO == topology.ThreadNo {
			return fmt.Errorf("%w: %s: IO=%s (%d %s) SQL=%s (%d %s)", ErrApplierStopped, l.Source, l.IO, l.IOErrno,
				l.IOError, l.SQL, l.SQLErrno, l.SQLError)
		}
		if l.AppliedFile.Contains(target) && !l.AppliedFile.Equal(target) {
			return fmt.Errorf("%w: %s has applied up to %s, past %s", ErrTarget, l.Source, l.AppliedFile, target)
		}
		if err := posWait(ctx, q, function, target, l.Channel); err != nil {
			return fmt.Errorf("wait for %s, is at %s: %w", target, l.AppliedFile, err)
		}
	}
}

// posWait runs MASTER_POS_WAIT or SOURCE_POS_WAIT for at most waitChunk. Its answer says little (NULL when the
// applier stops, -1 on timeout), so the caller looks at the link again. A receiver that is behind although the
// applier is at the target gets a moment, too.
func posWait(ctx context.Context, q Querier, function string, target gtid.Position, channel string) error {
	file, pos, _ := target.File()
	query := fmt.Sprintf("SELECT %s(%s, %d, %d)", function, literal(file), pos, seconds(ctx))
	if channel != "" {
		query = fmt.Sprintf("SELECT %s(%s, %d, %d, %s)", function, literal(file), pos, seconds(ctx), literal(channel))
	}
	var n sql.NullInt64
	if err := q.QueryRowContext(ctx, query).Scan(&n); err != nil {
		return err
	}
	moment := time.NewTimer(time.Millisecond / 2)
	defer moment.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-moment.C:
		return nil
	}
}

// seconds is how many whole seconds a blocking wait may take under ctx, between 1 and waitChunk.
func seconds(ctx context.Context) int {
	d := waitChunk
	if deadline, ok := ctx.Deadline(); ok {
		d = min(d, time.Until(deadline))
	}
	return max(1, int(math.Ceil(d.Seconds())))
}

// linkFor finds the link that reads the log target is in: the only one, or the one whose source's log has that name.
func linkFor(ctx context.Context, q Querier, d waiter, target gtid.Position) (topology.Link, error) {
	links, err := d.links(ctx, q)
	if err != nil {
		return topology.Link{}, err
	}
	if len(links) == 1 {
		return links[0], nil
	}
	file, _, _ := target.File()
	var found []topology.Link
	for _, l := range links {
		if name, _, ok := l.ReceivedFile.File(); ok && logBase(name) == logBase(file) {
			found = append(found, l)
		}
	}
	if len(found) != 1 {
		return topology.Link{}, fmt.Errorf("%w: %d of %d links read a log like %s", ErrTarget, len(found), len(links), file)
	}
	return found[0], nil
}

func logBase(name string) string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i]
	}
	return name
}
