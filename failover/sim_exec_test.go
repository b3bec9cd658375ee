package failover

import (
	"errors"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/failover/fence"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
)

// simExec carries out the steps of one process against the world, as the executor does. A step is a coroutine: it waits
// by yielding, and is stopped when the process is killed.
type simExec struct {
	p         *simProcess
	w         *world
	limits    executor // for the deadlines of the steps
	run       *simRun
	semi      simSemi
	swept     [3]bool
	known     [3]bool // its server id is known
	yield     func(time.Duration) bool
	deadline  time.Duration
	cancelled bool
}

// simSemi is what was last seen of a primary's semi-sync settings.
type simSemi struct {
	server *simServer
	source bool
	since  time.Time
}

// simRun is run.
type simRun struct {
	from, to *simServer
	fence    *simFence
	proof    *simProof
	target   gtid.Position
	targetN  int // how long the old primary's log was then
	hasN     bool
	binlogB  gtid.Position
	link     *simLink
	semiOn   bool
	deaf     bool     // the receiver was stopped by silence
	short    bool     // the target was given up by order of an operator
	a, b     *simConn // ready connections to from and to
}

// simConn is a connection that is kept. It is of no use any more after an error that is not the server's own answer.
type simConn struct {
	to     *simServer
	life   int
	broken bool
}

// simFence is a fence.Attempt.
type simFence struct {
	of    *simServer
	stray *simStray
	proof *simProof
}

// simProof is a fence.Proof.
type simProof struct {
	of    *simServer // nil: all others
	life  int
	kind  fence.Kind
	spent bool
}

type simKilled struct{}

var (
	errSimRefused   = errors.New("connection refused")
	errSimTimeout   = errors.New("i/o timeout")
	errSimLost      = errors.New("lost connection during query")
	errSimCancelled = errors.New("context canceled")
	errSimNotClosed = fmt.Errorf("%w: lock wait timeout", fence.ErrNotClosed)
)

func newSimExec(p *simProcess) *simExec {
	x := &simExec{p: p, w: p.world}
	x.limits.cfg.Limits = DefaultLimits()
	for i := range p.seen {
		x.limits.cfg.Servers = append(x.limits.cfg.Servers, p.world.servers[i].inst)
	}
	return x
}

// do is executor.do.
func (x *simExec) do(a actRun, yield func(time.Duration) bool) (out inDone) {
	defer func() {
		if r := recover(); r != nil {
			if _, killed := r.(simKilled); !killed {
				panic(r)
			}
		}
	}()
	x.yield = yield
	x.deadline = x.w.now + x.limits.deadline(a.Step)
	out = inDone{Step: a.Step}
	if err := x.carryOut(a, &out); err != nil {
		out.Outcome, out.Reasons = judgeError(a, err)
	}
	return out
}

// wait lets time pass. It ends early with an error at the step's deadline or when the step is cancelled.
func (x *simExec) wait(d time.Duration) error {
	until := x.w.now + d
	late := until > x.deadline
	if late {
		until = max(x.deadline, x.w.now)
	}
	if x.cancelled {
		return errSimCancelled
	}
	if !x.yield(until - x.w.now) {
		panic(simKilled{})
	}
	switch {
	case x.cancelled:
		return errSimCancelled
	case late:
		return errSimTimeout
	default:
		return nil
	}
}

// undoing runs do under a deadline of its own, as context.WithoutCancel does.
func (x *simExec) undoing(d time.Duration, do func() error) error {
	deadline, cancelled := x.deadline, x.cancelled
	x.deadline, x.cancelled = x.w.now+d, false
	err := do()
	x.deadline, x.cancelled = deadline, x.cancelled || cancelled
	return err
}

func (x *simExec) bounded(d time.Duration, do func() error) error {
	deadline := x.deadline
	x.deadline = min(deadline, x.w.now+d)
	err := do()
	x.deadline = deadline
	return err
}

// sql executes one statement on a server. It may fail without effect, after its effect, or have it later.
func (x *simExec) sql(s *simServer, do func() error) error { return x.statement(s, nil, do) }

func (x *simExec) statement(s *simServer, stray *simStray, do func() error) error {
	w := x.w
	life := s.life
	later := func() {
		if s.life == life && s.up && (stray == nil || !stray.dead) {
			_ = do() // nobody hears of it
		}
	}
	switch {
	case !w.reaches(w.onewriter(), s.i):
		return errors.Join(x.wait(5*time.Second), errSimTimeout)
	case !s.up:
		return errors.Join(x.wait(time.Millisecond), errSimRefused)
	case s.frozen:
		if do != nil && w.chance(50) {
			s.late = append(s.late, later)
		}
		return errors.Join(x.wait(5*time.Second), errSimTimeout)
	case w.busy[s.i]:
		return errors.Join(x.wait(time.Millisecond), errors.New("too many connections"))
	}
	if do == nil {
		do = func() error { return nil }
	}
	if !w.calm && w.chance(0.7) {
		return x.strange(later)
	}
	if err := x.wait(w.between(200*time.Microsecond, 3*time.Millisecond)); err != nil {
		if w.chance(50) {
			w.after(0, later)
		}
		return err
	}
	if s.life != life || !s.up {
		return errSimLost
	}
	if s.frozen {
		s.late = append(s.late, later)
		return errors.Join(x.wait(5*time.Second), errSimTimeout)
	}
	err := do()
	if !w.reaches(w.onewriter(), s.i) {
		return errors.Join(x.wait(5*time.Second), errSimTimeout)
	}
	return err
}

// strange is a statement that something happens to.
func (x *simExec) strange(later func()) error {
	w := x.w
	switch w.rand.IntN(3) {
	case 0: // it never got there
		return errors.Join(x.wait(w.between(time.Millisecond, time.Second)), errSimLost)
	case 1: // its answer is lost
		err := x.wait(w.between(time.Millisecond, 10*time.Millisecond))
		later()
		return errors.Join(err, errSimLost)
	default: // it is executed after nobody waits for it any more
		w.after(w.between(10*time.Millisecond, 4*time.Second), later)
		return errors.Join(x.wait(w.between(5*time.Millisecond, 2*time.Second)), errSimTimeout)
	}
}

// conn opens a connection to keep.
func (x *simExec) conn(s *simServer) (*simConn, error) {
	if err := x.sql(s, nil); err != nil {
		return nil, err
	}
	return &simConn{to: s, life: s.life}, nil
}

// on executes a statement on a connection that was kept.
func (x *simExec) on(c *simConn, do func() error) error {
	if c == nil || c.broken || c.life != c.to.life {
		return errSimLost
	}
	err := x.sql(c.to, do)
	for _, fatal := range []error{errSimRefused, errSimTimeout, errSimLost, errSimCancelled} {
		c.broken = c.broken || errors.Is(err, fatal)
	}
	return err
}

// killStrays is EndStray.
func (x *simExec) killStrays(s *simServer) error {
	return x.sql(s, func() error {
		for _, stray := range s.strays {
			stray.dead = true
		}
		s.strays = nil
		return nil
	})
}

// setFlags issues a statement that sets the flags; one that is not answered is a stray.
func (x *simExec) setFlags(s *simServer, do func() error) (*simStray, error) {
	stray := &simStray{}
	s.strays = append(s.strays, stray)
	err := x.statement(s, stray, do)
	if err == nil || errors.Is(err, fence.ErrNotClosed) {
		stray.dead = true
	}
	return stray, err
}

// newFence is fence.New: two connections.
func (x *simExec) newFence(s *simServer) (*simFence, error) {
	if err := x.sql(s, nil); err != nil {
		return nil, err
	}
	return &simFence{of: s}, nil
}

// close is fence.Attempt.Close.
func (x *simExec) close(f *simFence) (*simProof, error) {
	w, s := x.w, f.of
	var err error
	_ = x.bounded(x.limits.cfg.Limits.Fence, func() error {
		f.stray, err = x.setFlags(s, func() error {
			if len(s.waiting) > 0 { // commits wait for an acknowledgement
				if w.shape.mysql {
					return errSimNotClosed
				}
				s.killCommits()
			}
			s.setClosed()
			w.data.cutoffRunning(s)
			return nil
		})
		return nil
	})
	if err == nil {
		f.proof = &simProof{of: s, life: s.life, kind: fence.Proved}
		return f.proof, nil
	}
	state, settleErr := x.settleFence(f)
	switch {
	case settleErr != nil:
		return nil, fmt.Errorf("%w: %w", fence.ErrUncertain, settleErr)
	case state == simHalf:
		return nil, fmt.Errorf("%w: only one of the two flags is set", fence.ErrUncertain)
	case state == simOpen:
		return nil, fmt.Errorf("%w: %w", fence.ErrNotClosed, err)
	}
	f.proof = &simProof{of: s, life: s.life, kind: fence.Proved}
	return f.proof, nil
}

// killCommits is KILL of the sessions that wait: their commits become visible and nobody hears of them.
func (s *simServer) killCommits() {
	waiting := s.waiting
	s.waiting = nil
	for _, c := range waiting {
		c.done(false)
	}
}

// cutoffRunning ends what the fence had to wait for.
func (d *simDataPath) cutoffRunning(s *simServer) {
	for i := len(d.open) - 1; i >= 0; i-- {
		if x := d.open[i]; x.server == s && x.txn >= 0 && d.world.chance(20) {
			d.drop(x)
		}
	}
}

// settleFence makes certain whether the fence took effect: its statement is killed first.
func (x *simExec) settleFence(f *simFence) (state simOpenness, err error) {
	err = x.undoing(x.limits.cfg.Limits.Settle, func() error {
		for {
			err := x.sql(f.of, func() error {
				if f.stray != nil {
					f.stray.dead = true
				}
				state = f.of.openness()
				return nil
			})
			if err == nil {
				return nil
			}
			if waitErr := x.wait(10 * time.Millisecond); waitErr != nil {
				return err
			}
		}
	})
	return state, err
}

// simOpenness is what the flags of a server say.
type simOpenness uint8

const (
	simHalf simOpenness = iota
	simClosed
	simOpen
)

func (s *simServer) openness() simOpenness {
	switch {
	case s.writable():
		return simOpen
	case s.closed():
		return simClosed
	default:
		return simHalf
	}
}

// reopenFence is Attempt.Reopen.
func (x *simExec) reopenFence(f *simFence) error {
	if f.proof != nil && f.proof.spent {
		return fence.ErrNoProof
	}
	state, err := x.settleFence(f)
	if err != nil {
		return fmt.Errorf("%w: %w", fence.ErrUncertain, err)
	}
	if state == simOpen {
		return nil
	}
	err = x.bounded(x.limits.cfg.Limits.Settle, func() error {
		return x.sql(f.of, func() error {
			x.w.check.opened(f.of, openUndo, actRun{}, nil)
			f.of.setOpen()
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("%w: %w", fence.ErrUncertain, err)
	}
	if f.proof != nil {
		f.proof.spent = true
	}
	return nil
}

// open is fence.Promote.
func (x *simExec) open(c *simConn, s *simServer, proof *simProof, why simOpening, a actRun) error {
	if proof == nil || proof.spent {
		return fence.ErrNoProof
	}
	proof.spent = true
	var err error
	_ = x.bounded(x.limits.cfg.Limits.Settle, func() error {
		if c.broken || c.life != s.life {
			err = errSimLost
			return nil
		}
		_, err = x.setFlags(s, func() error {
			x.w.check.opened(s, why, a, proof)
			s.setOpen()
			if w := x.w; w.shape.turns && why == openFailover && !w.calm {
				w.after(0, func() { w.turn(w.server(a.Op.From.Name), s) })
			}
			return nil
		})
		return nil
	})
	if err == nil {
		return nil
	}
	opened, openedErr := x.isOpened(s)
	switch {
	case openedErr != nil:
		return fmt.Errorf("%w: %w", fence.ErrUncertain, openedErr)
	case opened:
		return nil
	default:
		proof.spent = false
		return fmt.Errorf("%w: %w", fence.ErrNotOpened, err)
	}
}

// isOpened kills what is pending and reads the flags; one that is set alone is completed to closed.
func (x *simExec) isOpened(s *simServer) (opened bool, err error) {
	err = x.undoing(x.limits.cfg.Limits.Settle, func() error {
		if err := x.killStrays(s); err != nil {
			return err
		}
		return x.sql(s, func() error {
			if !s.writable() && !s.closed() {
				s.setClosed()
			}
			opened = s.writable()
			return nil
		})
	})
	return opened, err
}

// stopReplica and startReplica are the statements of that name, on a connection that was kept or on any.
func (x *simExec) stopReplica(c *simConn, l *simLink, which flavor.Threads) error {
	if len(l.at.waiting) > 0 && which != flavor.ReceiverThread { // the applier waits for an acknowledgement
		return errors.Join(x.wait(x.limits.cfg.Limits.Statement), errSimTimeout)
	}
	return x.either(c, l.at, func() error {
		if which != flavor.ApplierThread {
			l.stopIO()
		}
		if which != flavor.ReceiverThread {
			l.stopSQL()
		}
		return nil
	})
}

func (x *simExec) startReplica(c *simConn, l *simLink, which flavor.Threads) error {
	return x.either(c, l.at, func() error {
		l.start(which != flavor.ApplierThread, which != flavor.ReceiverThread)
		return nil
	})
}

func (x *simExec) either(c *simConn, s *simServer, do func() error) error {
	if c != nil {
		return x.on(c, do)
	}
	return x.sql(s, do)
}
