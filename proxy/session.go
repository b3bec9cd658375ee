package proxy

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/sockopt"
	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/router"
	"github.com/onewriter/onewriter/session"
	"github.com/onewriter/onewriter/topology"
)

// activity is what a session is doing at its server, as a drain needs to know it.
type activity = uint32

const (
	idle    activity = iota
	reading          // a statement that cannot write is running; a drain does not wait for it
	writing          // a transaction is open, or a statement that may write is running
)

// peekAfter is how long a server connection may have been idle before it is checked for having died meanwhile. The
// check costs a system call, which is why busy sessions are spared it.
const peekAfter = 100 * time.Millisecond

// clientSession is one client with its server connection. Its goroutine runs loop; others use the fields marked as
// shared and the methods nudge and abort.
type clientSession struct {
	// immutable
	id       uint64
	listener *Listener
	cluster  *Cluster
	since    time.Time

	// shared
	activity atomic.Uint32
	abortion atomic.Pointer[abortion]
	ended    atomic.Pointer[abortion] // why the session has to end, if it has
	kills    atomic.Int32             // attempts to kill the connection that no server has answered yet
	origin   atomic.Pointer[origin]
	knownID  atomic.Uint32 // connection id in the client's handshake; 0 before
	where    atomic.Pointer[placement]
	account  atomic.Pointer[string]
	pins     atomic.Uint32
	commands atomic.Uint64
	replied  atomic.Int64 // when the server of where last answered, as tallies.now counts
	clientTC net.Conn     // the connection as accepted
	alert    alert
	waiting  atomic.Pointer[waiter] // of the command under way; nil while it does not wait for a server
	// formerIDs is guarded by cluster.ids.mu: ids of server connections other than knownID, the present one included
	formerIDs []uint32
	overdue   atomic.Uint64 // 1 more than commands, when the sweep found the session idle
	seen      lastSeen      // owned by the sweep
	atCommand uint64        // owned by watchLeft: commands when it last looked, 0 if the session was idle

	// owned by the session's goroutine
	client    endpoint
	server    asker
	core      *session.Core
	login     backend.LoginParams
	secret    auth.Secret
	plugin    string // what the greeting named
	berth     berth
	counted   userCount
	engaged   bool // a command is under way at the server
	flavor    session.Flavor
	writeBy   int64 // the deadline for writing to the client, as tallies.now counts; 0 when not set
	salt      [wire.SaltLen]byte
	idleWatch *idleWatch    // nil as long as the client has not set wait_timeout
	decided   *router.State // the state that decision is about
	decision  router.Decision
	flow      flow
	serving   bool            // a command is under way
	late      bool            // a nudge came meanwhile and has still to be looked after
	shape     wire.Capability // what all servers of this session must have in common
	doom      error           // the next command is answered with it, and the session ends
	rollback  error           // why the open transaction was ended; for the next command
	agreed    func()          // what follows when the server agrees to the kill under way; nil ordinarily
	owed      error           // the error of a command that has no answer; for the next one that has
}

// alert is what nudges a session out of waiting for its client, unless it is muted.
type alert struct {
	mu    sync.Mutex
	ready bool // guarded by mu
	sent  bool // guarded by mu; and not looked after yet
}

func (a *alert) send(conn net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ready {
		a.sent = true
		_ = conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// mute keeps nudges from an exchange that has to be done until deadline.
func (a *alert) mute(conn net.Conn, deadline time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ready = false
	_ = conn.SetDeadline(deadline)
}

// unmute ends mute. The caller looks at the routing table afterwards: a nudge in between was not sent.
func (a *alert) unmute(conn net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ready, a.sent = true, false
	_ = conn.SetDeadline(time.Time{})
}

// placement says where a session's server connection is.
type placement struct {
	instance topology.Instance
	epoch    topology.Epoch
	primary  bool
	conn     *backend.Conn
}

// abortion ends the transaction of a session from outside.
type abortion struct{ cause error }

// nudge makes the session look at the routing table if it waits for its client. One that is logging in will look by
// itself when it is done; to disturb its exchange would fail it.
func (s *clientSession) nudge() { s.alert.send(s.clientTC) }

// abortPatience is how long an aborted session may take to hand its client what is on the way. Tests shorten it.
var abortPatience = 10 * time.Second

// abort ends the session's transaction: its server connection is closed, and its client told why. What the server has not
// received yet it must not receive later, when it is the primary no more.
func (s *clientSession) abort(cause error) {
	a, before := &abortion{cause}, s.where.Load()
	_ = s.clientTC.SetWriteDeadline(time.Now().Add(abortPatience)) // a client that does not read must not keep it waiting
	s.abortion.Store(a)
	if before != nil {
		sockopt.Reset(before.conn.Conn)
	}
	// One that it has got meanwhile is closed as well, unless the session has got it because of this.
	if w := s.where.Load(); w != nil && w != before && s.abortion.Load() == a {
		sockopt.Reset(w.conn.Conn)
	}
	s.nudge()
}

// aborted gives the abort that has come, nil if none has, and ends what it has done to the client's connection.
func (s *clientSession) aborted() *abortion {
	a := s.abortion.Swap(nil)
	if a != nil {
		_ = s.clientTC.SetWriteDeadline(time.Time{})
		s.writeBy = 0
	}
	return a
}

func (s *clientSession) ctx() context.Context { return s.cluster.ctx }

// loop serves commands until the client leaves or the session has to end. The error is for the log only.
func (s *clientSession) loop() error {
	for {
		s.enterPhase(phaseIdle)
		cmd, err := s.nextCommand()
		if err != nil {
			return err
		}
		if cmd.Code == wire.ComQuit {
			return nil
		}
		s.commands.Add(1)
		s.serving = true
		s.enterPhase(phaseRelay)
		s.flow.start(s.cluster.tallies.now())
		err = s.serve(cmd)
		s.serving = false
		s.noteHold()
		if err != nil {
			if quit := s.fail(err); quit != nil {
				return quit
			}
		}
		s.endUnit()
		if s.late || s.ended.Load() != nil || s.cluster.stopping.Load() {
			s.late = false
			if err := s.nudged(); err != nil {
				return err
			}
		}
	}
}

// nextCommand waits until the client has sent enough of a command.
func (s *clientSession) nextCommand() (session.Command, error) {
	for {
		if b := s.client.buf.bytes(); len(b) > 0 {
			cmd, need, err := s.core.Peek(b)
			if err != nil {
				s.writeError(err, b[min(3, len(b)-1)])
				return cmd, err
			}
			if need == 0 {
				return cmd, nil
			}
		} else {
			s.client.buf.giveBack()
		}
		if err := s.awaitClient(); err != nil {
			return session.Command{}, err
		}
	}
}

// awaitClient reads from the client; nudges are looked after meanwhile.
func (s *clientSession) awaitClient() error {
	for {
		err := s.fillFromClient()
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		// The deadline goes first, then the look at the table: a nudge in between is not lost.
		s.alert.relax(s.clientTC)
		if s.serving { // a long command goes to its end where it began
			s.late = true
			continue
		}
		if err := s.nudged(); err != nil {
			return err
		}
	}
}

// nudged lets go of a server connection that the session no longer belongs on. A session that can be rebuilt is, when
// its next command comes.
func (s *clientSession) nudged() error {
	if e := s.ended.Load(); e != nil {
		return e.cause
	}
	if s.cluster.stopping.Load() && !s.core.Busy() && len(s.client.buf.bytes()) == 0 {
		return errShutdown()
	}
	if s.expired() {
		return s.expire()
	}
	if len(s.client.buf.bytes()) == 0 && s.outstayed(s.cluster.tallies.now()) {
		return s.farewell()
	}
	s.takeAbortion()
	w := s.where.Load()
	if w == nil || s.core.Busy() {
		return nil
	}
	d := s.decide()
	if s.placed(d) || !d.Target.Known() {
		return nil
	}
	pins := s.depart(true)
	s.setActivity(idle)
	if pins != 0 {
		s.doom = errPinned(pins.String(), "the "+roleOf(w.primary)+" role moved from "+w.instance.Name)
		s.cluster.metrics.moves[movePinned].Inc()
	}
	return nil
}

func roleOf(primary bool) string {
	if primary {
		return topology.RolePrimary.String()
	}
	return topology.RoleStandby.String()
}

// decide gives the target of the session; it costs two loads while nothing changed.
func (s *clientSession) decide() router.Decision {
	state := s.cluster.table.Load()
	if state != s.decided || !state.Primary.ValidUntil.IsZero() {
		s.decided = state
		current := topology.Instance{}
		if w := s.where.Load(); w != nil {
			current = w.instance
		}
		s.decision = router.Decide(state, s.listener.policy, current, time.Now())
	}
	return s.decision
}

// placed reports whether the session's server connection is the one that d asks for. A connection to a primary of an
// older epoch is not: the server may have been somebody else's since.
func (s *clientSession) placed(d router.Decision) bool {
	w := s.where.Load()
	return w != nil && w.instance == d.Target && w.primary == d.Primary && (!d.Primary || w.epoch == d.Epoch)
}

// takeAbortion carries out an abort. A transaction that ended by itself meanwhile has nothing to be told of.
func (s *clientSession) takeAbortion() {
	a := s.aborted()
	if a == nil {
		return
	}
	switch pins := s.core.Pins(); {
	case s.core.InTransaction():
		s.rollback = a.cause
	case s.core.Busy() && pins != 0:
		s.doom = errPinned(pins.String(), a.cause.Error())
	case s.core.Busy(): // table locks of a statement whose text nobody has seen
		s.rollback = a.cause
	}
	s.dropServer()
}

// fail answers a command that could not be served. The result is nil if the session goes on.
func (s *clientSession) fail(err error) error {
	if e := s.ended.Load(); e != nil {
		return errors.Join(errMidResponse, e.cause) // as servers do: no last words
	}
	ce := (*clientError)(nil)
	se := (*wire.ServerError)(nil)
	if errors.Is(err, errMidResponse) || !errors.As(err, &ce) && !errors.As(err, &se) {
		return err // nothing can be said, or nobody is there to hear it
	}
	cmd := s.core.Current()
	if !wire.HasResponse(cmd.Code) && s.owed == nil &&
		(cmd.Code == wire.ComStmtSendLongData || ce != nil && ce.code == erLockDeadlock) {
		s.owed = err
	}
	if wire.HasResponse(cmd.Code) {
		if werr := s.writeError(err, cmd.Seq); werr != nil {
			return werr
		}
	}
	if _, fatal := asClientError(err); fatal {
		if !wire.HasResponse(cmd.Code) {
			s.doom = err // the client learns why it has to go when it next asks for something
			return nil
		}
		return err
	}
	return nil
}

// writeError sends an ERR packet that follows the client's packet with number seq.
func (s *clientSession) writeError(err error, seq byte) error {
	payload, _ := asClientError(err)
	s.cluster.metrics.told(err)
	return s.toClient(wire.AppendPacket(nil, seq+1, payload), s.cluster.tallies.now())
}

// write sends to the client or the server.
func (s *clientSession) write(conn net.Conn, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if conn == nil {
		return net.ErrClosed
	}
	_, err := conn.Write(b)
	return err
}

// closeServer closes the server connection; the session keeps counting as what it was.
func (s *clientSession) closeServer() {
	if s.where.Swap(nil) != nil {
		s.takeLeave()
	}
	s.server.close()
	s.berth.leave()
	s.core.Detach()
}

// takeLeave tells the server that the connection ends, so that it does not count as aborted (Aborted_clients). In the
// middle of a command it would be taken for something else.
func (s *clientSession) takeLeave() {
	if s.engaged || s.server.conn == nil {
		s.engaged = false
		return
	}
	_ = s.server.conn.SetWriteDeadline(time.Now().Add(time.Second)) // there is room in the socket's buffer
	_, _ = s.server.conn.Write(quit)
}

var quit = wire.AppendPacket(nil, 0, []byte{wire.ComQuit})

// dropServer closes the server connection, and with it the session's activity there.
func (s *clientSession) dropServer() {
	s.closeServer()
	s.setActivity(idle)
}

func (s *clientSession) setActivity(a activity) {
	if s.activity.Swap(a) == writing && a != writing {
		s.cluster.gate.Left()
	}
}

// endUnit notes what the session is in after a command: still in a transaction, or free to move.
func (s *clientSession) endUnit() {
	if s.idleWatch.differs(s.core.WaitTimeout()) {
		s.watch(s.core.WaitTimeout())
	}
	if s.idleWatch != nil {
		s.idleWatch.since.Store(s.cluster.tallies.now())
	}
	if p := uint32(s.core.Pins()); p != s.pins.Load() {
		s.cluster.metrics.pinned(session.Pin(s.pins.Swap(p)), session.Pin(p))
	}
	if s.core.Busy() {
		s.setActivity(writing)
	} else {
		s.setActivity(idle)
	}
}
