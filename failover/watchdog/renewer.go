package watchdog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/topology"
)

const (
	yield   = 100 * time.Millisecond // how long SetPrimary waits for a renewal under way before it ends it
	longest = time.Second            // of one round of statements
)

// Config is what a Renewer needs. Fields without a stated default are required.
type Config struct {
	// TTL is how long a server stays writable after a renewal. It is renewed three times as often. At least 2 s.
	TTL time.Duration
	// Holder names this process in the lease.
	Holder string
	// Connect opens handles for the control account.
	Connect func(topology.Instance) (*sql.DB, error)
	// Logger gets a line when renewals begin to fail and when they succeed again.
	Logger zerolog.Logger
}

// Renewer keeps the lease of the published primary. All methods are safe for concurrent use.
type Renewer struct {
	cfg   Config
	nudge chan struct{}
	slot  chan struct{} // held while talking to the server, and to change the primary

	primary topology.Instance // guarded by slot
	link    *link             // to primary, nil when there is none; guarded by slot
	failing bool              // guarded by slot

	mu      sync.Mutex
	cancel  context.CancelFunc   // guarded by mu; ends what is under way
	renewed map[string]time.Time // guarded by mu; of servers whose watchdog is armed
	count   uint64               // guarded by mu; successful renewals

	confirmed map[string]time.Time // guarded by mu; when the last renewal was sent that was answered by an armed server
	late      map[string]time.Time // guarded by mu; when one was sent that may have come after the end of the lease
}

// link is the connection to the primary.
type link struct {
	db   *sql.DB
	conn *sql.Conn
	d    flavor.Dialect
}

// NewRenewer makes a Renewer that has no primary yet.
func NewRenewer(cfg Config) (*Renewer, error) {
	if cfg.TTL < 2*time.Second || cfg.Connect == nil || cfg.Holder == "" {
		return nil, errors.New("the watchdog needs a ttl of at least 2s, a name and connections")
	}
	return &Renewer{
		cfg: cfg, nudge: make(chan struct{}, 1), slot: make(chan struct{}, 1), renewed: map[string]time.Time{},
		confirmed: map[string]time.Time{}, late: map[string]time.Time{},
	}, nil
}

// SetPrimary says whose lease is to be renewed from now on; the zero value means nobody's. When it returns nothing is
// written to the previous one any more, unless that server has not answered for 100 ms. The lease of the previous
// primary is left to run out: see Disarm.
func (r *Renewer) SetPrimary(p topology.Primary) {
	r.acquire()
	if r.primary != p.Instance {
		r.unlink()
		r.forget(p.Instance.Name) // what was renewed in an earlier reign is void
		r.primary = p.Instance
	}
	<-r.slot
	select {
	case r.nudge <- struct{}{}:
	default: // it will look anyway
	}
}

// acquire takes the slot; what is under way has a moment to come to an end.
func (r *Renewer) acquire() {
	timer := time.NewTimer(yield)
	defer timer.Stop()
	select {
	case r.slot <- struct{}{}:
		return
	case <-timer.C:
	}
	r.mu.Lock()
	if r.cancel != nil {
		r.cancel()
	}
	r.mu.Unlock()
	r.slot <- struct{}{}
}

// Renewed is when the last renewal that the server may have received was sent, by our monotonic clock. It is zero
// when the server was not seen to have a watchdog that works.
func (r *Renewer) Renewed(server string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.renewed[server]
}

// Lapsed reports whether the lease of a server may have run out, so that its watchdog may have closed it: no renewal was
// answered for so long, or one that was answered has come late, a short while ago; the event is not undone by that. It is
// not known before the first renewal that an armed server has answered.
func (r *Renewer) Lapsed(server string) (lapsed, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, known := r.confirmed[server]
	late, was := r.late[server]
	return known && time.Since(last) >= r.cfg.TTL || was && time.Since(late) < r.cfg.TTL, known
}

// confirm notes that a renewal which was sent at that time was answered.
func (r *Renewer) confirm(server string, sent time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	if last, ok := r.confirmed[server]; ok && sent.Sub(last) >= r.cfg.TTL*3/4 { // it takes time to arrive; on time is a third
		r.late[server] = sent
	}
	r.confirmed[server] = sent
}

// forget voids what is known of the renewals of a server.
func (r *Renewer) forget(server string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.renewed[server] = time.Time{}
	delete(r.confirmed, server)
	delete(r.late, server)
}

// Renewals counts the successful ones since the start.
func (r *Renewer) Renewals() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// Disarm ends the primary's lease, for a planned switchover, in which nothing is renewed for a while. Call it before
// SetPrimary. Whatever its outcome is, Renewed does not vouch for that server until the next renewal.
func (r *Renewer) Disarm(ctx context.Context) error {
	r.acquire()
	defer func() { <-r.slot }()
	if !r.primary.Known() {
		return nil
	}
	r.forget(r.primary.Name)
	ctx, done := r.bounded(ctx)
	defer done()
	l, err := r.connect(ctx)
	if err == nil {
		err = Disarm(ctx, l.conn)
	}
	if err != nil {
		r.unlink()
		return fmt.Errorf("disarm the watchdog of %s: %w", r.primary.Name, err)
	}
	return nil
}

// Run renews until ctx is done; then it disarms the primary, which is to stay open without us.
func (r *Renewer) Run(ctx context.Context) error {
	tick := time.NewTicker(r.cfg.TTL / 3)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-r.nudge:
		case <-ctx.Done():
			err := r.Disarm(context.WithoutCancel(ctx))
			r.SetPrimary(topology.Primary{})
			return err
		}
		r.once(context.WithoutCancel(ctx)) // one that is given up could still arrive, after the lease was ended
	}
}

// once renews the lease of the primary if there is one.
func (r *Renewer) once(ctx context.Context) {
	r.slot <- struct{}{}
	defer func() { <-r.slot }()
	if !r.primary.Known() {
		return
	}
	ctx, done := r.bounded(ctx)
	defer done()
	err := r.renew(ctx)
	if err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrNotTicking) {
		r.unlink()
	}
	r.report(err)
}

// renew looks first and writes then: what was not answered is not asked for again, so that at most one renewal is on
// its way to a server that has gone silent.
func (r *Renewer) renew(ctx context.Context) error {
	l, err := r.connect(ctx)
	if err != nil {
		return err
	}
	s, err := look(ctx, l.conn)
	if errors.Is(err, ErrNotInstalled) {
		if err = Install(ctx, l.conn, l.d); err == nil {
			s, err = look(ctx, l.conn)
		}
	}
	if err != nil {
		return err
	}
	armed := s.ticking || !r.Renewed(r.primary.Name).IsZero()
	if armed {
		r.setRenewed(r.primary.Name, time.Now())
	}
	sent := time.Now()
	if err := renew(ctx, l.conn, s, r.cfg.TTL, r.cfg.Holder); err != nil {
		return err
	}
	if !s.ticking {
		r.forget(r.primary.Name)
		return ErrNotTicking
	}
	r.confirm(r.primary.Name, sent)
	return nil
}

// connect gives the link to the primary.
func (r *Renewer) connect(ctx context.Context) (*link, error) {
	if r.link != nil {
		return r.link, nil
	}
	db, err := r.cfg.Connect(r.primary)
	if err != nil {
		return nil, fmt.Errorf("open a handle for %s: %w", r.primary.Name, err)
	}
	r.link = &link{db: db}
	if r.link.conn, err = db.Conn(ctx); err == nil {
		r.link.d, err = flavor.Detect(ctx, r.link.conn)
	}
	if err == nil {
		_, err = r.link.conn.ExecContext(ctx, "SET SESSION time_zone = '+00:00', wait_timeout = 60, lock_wait_timeout = 1, innodb_lock_wait_timeout = 1")
	}
	if err != nil {
		r.unlink()
		return nil, fmt.Errorf("connect to %s: %w", r.primary.Name, err)
	}
	return r.link, nil
}

// unlink closes the link to the primary.
func (r *Renewer) unlink() {
	if r.link == nil {
		return
	}
	if r.link.conn != nil {
		_ = r.link.conn.Close() // the handle goes as well
	}
	_ = r.link.db.Close()
	r.link = nil
}

// bounded limits what is done with the server, and lets acquire end it.
func (r *Renewer) bounded(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	r.setCancel(cancel)
	return ctx, func() { r.setCancel(nil); cancel() }
}

func (r *Renewer) setCancel(cancel context.CancelFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cancel = cancel
}

func (r *Renewer) setRenewed(server string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.renewed[server] = at
}

// report logs the first of several failures and the first success after them. An event that was only just enabled has
// not run yet.
func (r *Renewer) report(err error) {
	switch failing := err != nil; {
	case failing == r.failing:
	case failing:
		r.cfg.Logger.Warn().Err(err).Str("server", r.primary.Name).Msg("watchdog not renewed")
	default:
		r.cfg.Logger.Info().Str("server", r.primary.Name).Msg("watchdog renewed again")
	}
	r.failing = err != nil
}
