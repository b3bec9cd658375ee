package health

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// prober asks one server. It is used by one goroutine.
type prober interface {
	// probe observes the server on the warm connection, opening it first when there is none.
	probe(ctx context.Context, o order) report
	// refresh opens a new connection and goes on with it; when that fails the old one stays.
	refresh(ctx context.Context) error
	close()
}

// order says what a probe should do besides observing.
type order struct {
	standby bool // it replicates from a known primary
	// beatOf asks for the heartbeat row of that server id; 0 for none.
	beatOf uint32
}

// report is the outcome of a probe.
type report struct {
	facts topology.Facts
	// positionAt is when the position in facts was read, if that was before this probe; zero otherwise.
	positionAt time.Time
	// skew is the server's clock minus ours, exact to half the round trip.
	skew time.Duration
	beat *beatRow // nil when not asked for or not there
	err  error
}

// sqlProber is the prober for real servers.
type sqlProber struct {
	db      *sql.DB
	idle    time.Duration // how long the server keeps a silent connection
	conn    *sql.Conn     // warm; nil when there is none
	dialect flavor.Dialect

	own   gtid.Position // where its binary log ended, on a server without GTID
	ownAt time.Time     // when that was read
}

// Where a server's own position takes a statement of its own it is not read with every probe: of the primary, whose last
// position says what is lost at least when it dies, once a second, of standbys for people only.
const (
	ownOfPrimary = 900 * time.Millisecond
	ownOfStandby = 4 * time.Second
)

func newSQLProber(db *sql.DB, interval time.Duration) *sqlProber {
	db.SetMaxIdleConns(0)
	return &sqlProber{db: db, idle: max(30*time.Second, 3*interval)}
}

// probe implements prober. A warm connection that turns out to be broken is replaced at once, so that its end alone
// (a KILL, an idle limit) is no outage, and so that the report tells what new connections meet.
func (p *sqlProber) probe(ctx context.Context, o order) report {
	warm := p.conn != nil
	r, err := p.observe(ctx, o)
	if err != nil && warm && p.conn == nil && ctx.Err() == nil {
		if first := Classify(err); first == topology.ClassReset || first == topology.ClassShutdown {
			r, err = p.observe(ctx, o)
			if first == topology.ClassShutdown && err != nil {
				err = fmt.Errorf("%w (before that: shutdown in progress)", err)
			}
		}
	}
	r.err = err
	return r
}

// observe makes one attempt. After an error that may have broken it, the connection is gone.
func (p *sqlProber) observe(ctx context.Context, o order) (r report, err error) {
	if p.conn == nil {
		if p.conn, err = p.connect(ctx); err != nil {
			return r, err
		}
	}
	defer func() {
		var server *mysql.MySQLError
		if err != nil && (!errors.As(err, &server) || Classify(err) != topology.ClassError) {
			p.drop()
		}
	}()
	if p.dialect == nil {
		if p.dialect, err = flavor.Detect(ctx, p.conn); err != nil {
			return r, err
		}
	}
	begun := time.Now()
	if r.facts, err = p.dialect.ObserveAt(ctx, p.conn, p.recent(begun, o)); err != nil {
		return r, err
	}
	if r.facts.Position.Kind() == gtid.KindFile {
		if !r.facts.Position.Equal(p.own) {
			p.own, p.ownAt = r.facts.Position, begun
		}
		r.positionAt = p.ownAt
	}
	if r.facts.Version != p.dialect.Version() {
		p.dialect = nil // upgraded under way: the next probe looks again
	}
	if !r.facts.Clock.IsZero() {
		r.skew = r.facts.Clock.Sub(begun)
	}
	if o.beatOf != 0 {
		r.beat, err = readBeat(ctx, p.conn, o.beatOf)
	}
	return r, err
}

// recent is the server's own position if that was read a short while ago.
func (p *sqlProber) recent(now time.Time, o order) gtid.Position {
	limit := ownOfPrimary
	if o.standby {
		limit = ownOfStandby
	}
	if now.Sub(p.ownAt) > limit {
		p.own = gtid.Position{}
	}
	return p.own
}

// connect opens a connection whose statements cannot wait long and that the server forgets soon when we vanish.
func (p *sqlProber) connect(ctx context.Context) (*sql.Conn, error) {
	conn, err := p.db.Conn(ctx)
	if err != nil {
		if errors.Is(err, driver.ErrBadConn) {
			err = errLoginEnd
		}
		return nil, fmt.Errorf("connect: %w", err)
	}
	_, err = conn.ExecContext(ctx, fmt.Sprintf(
		"SET SESSION wait_timeout = %d, lock_wait_timeout = 1, innodb_lock_wait_timeout = 1", int(p.idle.Seconds())))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the session: %w", err), conn.Close())
	}
	return conn, nil
}

// refresh implements prober.
func (p *sqlProber) refresh(ctx context.Context) error {
	conn, err := p.connect(ctx)
	if err != nil {
		return err
	}
	p.drop()
	p.conn = conn
	return nil
}

func (p *sqlProber) drop() {
	if p.conn != nil {
		_ = p.conn.Close() // it is replaced or broken; nothing is lost with it
		p.conn = nil
	}
}

func (p *sqlProber) close() { p.drop() }
