package doctor

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
)

// staleBeat is how old the newest heartbeat row may be for a conclusion to be drawn from it.
const staleBeat = 30 * time.Second

var errNoBeats = errors.New("nobody writes heartbeat rows now; onewriter doctor --self-test writes a row and waits for it")

// roundTrip compares the heartbeat row that Onewriter writes each second on the primary with what standbys have of it.
func roundTrip(ctx context.Context, x *examination) error {
	p, err := x.thePrimary()
	if err != nil {
		return err
	}
	newest, err := readBeat(ctx, p, p.facts.ServerID)
	if err != nil {
		return err
	}
	if time.Since(newest) > staleBeat {
		return errNoBeats
	}
	for _, s := range x.examined() {
		if !x.isStandby(s) {
			continue
		}
		seen, err := readBeat(ctx, s, p.facts.ServerID)
		if err != nil {
			return err
		}
		if behind := newest.Sub(seen); behind > x.d.limits.roundTrip {
			x.foundLate(p, s, seen, behind)
		}
	}
	return nil
}

func (x *examination) foundLate(p, s *server, seen time.Time, behind time.Duration) {
	evidence := "the newest heartbeat row of " + p.name() + " that it has is " + behind.Round(time.Second).String() + " old"
	if seen.UnixMicro() == 0 {
		evidence = "it has no heartbeat row of " + p.name() + " at all"
	}
	x.find("ROUND_TRIP", s.name(), fmt.Sprintf("What is written on the primary %s does not arrive on it, or much too late. A failover now would lose that, or would have to wait for it.", p.name()),
		[]string{evidence}, "onewriter doctor --self-test", s.showReplica())
}

func (s *server) showReplica() string {
	if !s.mariadb() && s.dialect.Kind() >= flavor.KindMySQL80 {
		return "SHOW REPLICA STATUS"
	}
	return "SHOW SLAVE STATUS"
}

// readBeat reads when the heartbeat row of the server with that id was written, on the clock of the proxy that wrote it;
// the start of time when there is none.
func readBeat(ctx context.Context, s *server, id uint32) (time.Time, error) {
	var beat int64
	err := s.q.QueryRowContext(ctx, fmt.Sprintf("SELECT beat FROM %s.heartbeat WHERE server_id = %d", flavor.Schema, id)).Scan(&beat)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, fmt.Errorf("read the heartbeat row on %s: %w (onewriter setup creates the table)", s.name(), err)
	}
	return time.UnixMicro(beat), nil
}
