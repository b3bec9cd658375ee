package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/onewriter/onewriter/internal/sockopt"
	"github.com/onewriter/onewriter/internal/tandem"
	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/router"
	"github.com/onewriter/onewriter/session"
)

// serve handles one command. The error is a *clientError or *wire.ServerError for the client, or that of its
// connection.
func (s *clientSession) serve(cmd session.Command) error {
	if s.outstayed(s.flow.now) {
		return s.tooLate()
	}
	if s.doom != nil && !s.reprieved(cmd) {
		return s.refuse(s.doom)
	}
	if cmd.Local {
		reply, n := s.core.Answer(s.client.buf.bytes())
		s.client.buf.consume(n)
		return s.toClient(reply, s.flow.now)
	}
	if err := s.owed; err != nil && cmd.Code != wire.ComStmtClose {
		if wire.HasResponse(cmd.Code) {
			s.owed = nil
		}
		return s.refuse(err)
	}
	if cmd.Code == wire.ComClone || cmd.Code == wire.ComSubscribeGroup {
		return s.refuse(errBetweenServers(cmd.Code))
	}
	s.takeAbortion()
	if s.doom != nil {
		return s.refuse(s.doom)
	}
	if cause := s.rollback; cause != nil {
		s.rollback = nil
		return s.refuse(errRolledBack(cause))
	}
	wasBusy := s.core.Busy()
	s.discard(cmd)
	if cmd.Kills() && s.killWaiting() {
		return s.confirm()
	}
	for {
		if err := s.enter(cmd); err != nil {
			return s.refuse(err)
		}
		// CloseOpen may have come while the session was between two servers and had no connection to be closed. From
		// here on it has one, and nothing was sent yet.
		a := s.aborted()
		if a == nil {
			break
		}
		s.dropServer()
		if wasBusy {
			return s.refuse(errRolledBack(a.cause))
		}
	}
	if e := s.ended.Load(); e != nil {
		return errors.Join(errMidResponse, e.cause)
	}
	if err := s.waitOver(); err != nil {
		return s.refuse(err)
	}
	switch {
	case cmd.Code == wire.ComChangeUser:
		return s.changeUser()
	case cmd.Kills():
		return s.serveKill(cmd, wasBusy)
	}
	return s.forward(cmd, wasBusy)
}

// forward sends the command to the session's server, and its answer to the client.
func (s *clientSession) forward(cmd session.Command, wasBusy bool) error {
	if b := s.core.NeedsPrepare(s.client.buf.bytes()); b != nil {
		if err := s.runPrelude(b); err != nil {
			if wasBusy && errors.As(err, new(*unreachableError)) { // the transaction went with the connection
				err = errTransactionLost("the server", err)
			}
			return s.refuse(err)
		}
		if se := s.core.Refusal(); se != nil {
			if !wire.HasResponse(cmd.Code) {
				return s.refuse(nil) // the execution will be told
			}
			return s.refuse(&clientError{se.Code, se.State, se.Message, false})
		}
	}
	s.engaged = true
	err := s.relay(cmd)
	s.engaged = err != nil
	return err
}

// refuse consumes the command, however long, and gives err as its answer; or the error of the client's connection.
func (s *clientSession) refuse(err error) error {
	s.client.buf.consume(s.core.Skip(s.client.buf.bytes()))
	for s.core.Streaming() {
		n := s.core.More(s.client.buf.bytes())
		s.client.buf.consume(n)
		if n > 0 {
			continue
		}
		if rerr := s.awaitClient(); rerr != nil {
			return rerr
		}
	}
	return err
}

// enter puts the session where the command belongs: through the gate, on the server that the table names, with its
// state restored.
func (s *clientSession) enter(cmd session.Command) error {
	if s.core.Busy() {
		if s.serverAlive() {
			return nil // a transaction stays where it is
		}
		name, inTxn := s.serverName(), s.core.InTransaction()
		s.lost()
		s.dropServer()
		if pins := s.core.Pins(); !inTxn && pins != 0 {
			return errPinned(pins.String(), "its server connection was lost")
		}
		return errTransactionLost(name, net.ErrClosed)
	}
	if s.mayPass(cmd) {
		s.setActivity(reading)
		return nil
	}
	deadline := time.Time{}
	for {
		d, err := s.pass(cmd)
		if err != nil {
			return err
		}
		if s.placed(d) {
			if s.serverAlive() {
				return nil
			}
			s.lost()
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(s.cluster.config.HoldTimeout)
		}
		err = s.move(d)
		if err == nil {
			if ok, gone := s.arrived(d); ok || gone != nil {
				return gone
			}
			continue
		}
		if !errors.As(err, new(*unreachableError)) || time.Now().After(deadline) {
			return err
		}
		// The server may be restarting, or the pointer about to move: wait for either.
		s.setActivity(idle)
		s.waitForChange(s.waitCtx(), deadline)
		if err := s.interrupted(); err != nil {
			return err
		}
	}
}

// arrived reports whether the session, which has got a server connection for d, may use it: it takes time to get one, and
// nobody stops a session on its way. The connection is seen from outside before the looks here, and whoever holds writes
// or publishes a primary does that before looking at the connections.
func (s *clientSession) arrived(d router.Decision) (bool, error) {
	if s.client.gone() {
		return false, io.EOF // nobody waits for the outcome: do not begin
	}
	return s.placed(s.decide()) && (!d.Primary || !s.cluster.gate.Holding()), nil
}

// serverAlive reports whether the server connection can take a command. Bytes that nobody asked for are a good-bye,
// or would be taken for the next answer.
func (s *clientSession) serverAlive() bool {
	if s.flow.now-s.replied.Load() < int64(peekAfter) {
		return len(s.server.buf.bytes()) == 0
	}
	return s.server.quiet()
}

// pass goes through the gate and returns where to. From then on the session counts as active until endUnit.
func (s *clientSession) pass(cmd session.Command) (router.Decision, error) {
	kind := writing
	if cmd.ReadOnly && s.core.Autocommit() {
		kind = reading
	}
	limit := s.cluster.config.HoldTimeout
	began := time.Time{}
	for {
		d := s.decide()
		if d.Primary || !d.Target.Known() {
			s.cluster.gate.Delay(s.ctx())
			s.setActivity(kind)
			if s.cluster.gate.Holding() {
				s.setActivity(idle)
				if err := s.waitAtGate(s.waitCtx(), limit); err != nil {
					return d, err
				}
				if s.client.gone() {
					return d, io.EOF // nobody waits for the outcome: do not begin
				}
				continue
			}
			d = s.decide() // the table as of after the gate
			if d.Primary {
				return d, nil
			}
		}
		if d.Target.Known() {
			s.setActivity(reading)
			return d, nil
		}
		s.setActivity(idle)
		if began.IsZero() {
			began = time.Now()
		}
		if time.Since(began) >= limit {
			return d, errHeld(d.Reason)
		}
		s.waitForChange(s.waitCtx(), began.Add(limit))
		if err := s.interrupted(); err != nil {
			return d, err
		}
		if s.client.gone() {
			return d, io.EOF
		}
	}
}

// place moves the session to d's server and rebuilds its state there.
func (s *clientSession) place(d router.Decision) error {
	why, moving := "its server connection was lost", false
	if w := s.where.Load(); w != nil && !s.placed(d) {
		why, moving = "the "+roleOf(w.primary)+" role moved from "+w.instance.Name, true
	}
	if pins := s.depart(moving); pins != 0 {
		s.setActivity(idle)
		return errPinned(pins.String(), why)
	}
	if err := s.reseat(d); err != nil {
		return err
	}
	defer s.berth.settle()
	ctx, cancel := context.WithTimeout(s.waitCtx(), s.cluster.config.ConnectTimeout)
	defer cancel()
	s.login.Database = s.core.Schema()
	p := s.login
	p.Charset = uint16(s.core.LoginCollation())
	conn, _, err := s.cluster.connect(ctx, d.Target, p)
	if err != nil {
		s.berth.leave()
		if cause := s.interrupted(); cause != nil {
			return cause
		}
		if se := (*wire.ServerError)(nil); errors.As(err, &se) && se.Code != erConCount && se.Code != erShutdown {
			return errNotLetIn(d.Target.Name, se)
		}
		s.cluster.missed(d.Target.Name)
		return &unreachableError{errUnreachable(d.Target.Name, err)}
	}
	s.attach(conn, d)
	if got := conn.Capabilities & shaping; got != s.shape {
		s.dropServer()
		return errRebuild(d.Target.Name, fmt.Errorf("it knows other protocol features (%#x) than the server before (%#x)", uint64(got), uint64(s.shape)))
	}
	if err := s.setUp(); err != nil {
		return err
	}
	return nil
}

// unreachableError marks a failure to reach a server before the command was sent to it: it may be tried again.
type unreachableError struct{ *clientError }

// Unwrap gives the error for the client.
func (e *unreachableError) Unwrap() error { return e.clientError }

// runPrelude sends bytes of the proxy's own and consumes their answers.
func (s *clientSession) runPrelude(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	err := s.ask(b)
	if err == nil {
		return nil
	}
	name := s.serverName()
	refused := errors.As(err, new(*session.RefusedError))
	if !refused {
		s.lost()
	}
	s.dropServer()
	if refused {
		return errRebuild(name, err)
	}
	return &unreachableError{errUnreachable(name, err)}
}

// ask sends bytes of the proxy's own to the server and lets the session core have the answers.
func (s *clientSession) ask(b []byte) error {
	err := s.write(s.server.conn, b)
	for done := false; err == nil && !done; {
		if err = s.server.fill(); err != nil {
			break
		}
		var n int
		n, done, err = s.core.Prelude(s.server.buf.bytes())
		s.server.buf.consume(n)
	}
	s.server.buf.giveBack()
	return err
}

func (s *clientSession) serverName() string {
	if w := s.where.Load(); w != nil {
		return w.instance.Name
	}
	return "the server"
}

// relay forwards the command and its response.
func (s *clientSession) relay(cmd session.Command) error {
	inTxn := s.core.InTransaction()
	out, n := s.core.Begin(s.client.buf.bytes())
	s.flow.up(cmd.Code, len(out))
	if cmd.Code != wire.ComBinlogDump && cmd.Code != wire.ComBinlogDumpGTID && wire.HasResponse(cmd.Code) && !s.core.Streaming() {
		return s.finishRelay(cmd, inTxn, s.server.exchange(out, &s.client.buf, n))
	}
	err := s.write(s.server.conn, out)
	s.client.buf.consume(n)
	for err == nil && s.core.Streaming() {
		if err := s.streamCommand(); err != nil {
			return err
		}
	}
	if len(s.client.buf.bytes()) == 0 {
		s.client.buf.drop()
	}
	switch {
	case err != nil:
		return s.serverFailed(cmd, inTxn, err)
	case !wire.HasResponse(cmd.Code):
		s.measure(cmd.Code)
		return nil
	case cmd.Code == wire.ComBinlogDump || cmd.Code == wire.ComBinlogDumpGTID:
		return s.stream()
	}
	return s.finishRelay(cmd, inTxn, s.server.fill())
}

// finishRelay forwards the response, of which the first bytes are there unless err says why not, and does what follows
// it.
func (s *clientSession) finishRelay(cmd session.Command, inTxn bool, err error) error {
	if err := s.response(cmd, inTxn, err); err != nil {
		return err
	}
	s.measure(cmd.Code)
	busy := s.core.Busy() || s.core.Doubtful()
	if err := s.runPrelude(s.core.FollowUp()); err != nil && busy {
		s.rollback = err // the client has its answer; the next command is told
	}
	return nil
}

// streamCommand passes on a further piece of a long command.
func (s *clientSession) streamCommand() error {
	if len(s.client.buf.bytes()) == 0 {
		if err := s.awaitClient(); err != nil {
			return err
		}
	}
	b := s.client.buf.bytes()
	n := s.core.More(b)
	if n == 0 { // a header is incomplete
		return s.awaitClient()
	}
	if err := s.write(s.server.conn, b[:n]); err != nil {
		return s.serverFailed(s.core.Current(), s.core.InTransaction(), err)
	}
	s.flow.up(s.core.Current().Code, n)
	s.client.buf.consume(n)
	return nil
}

// response forwards the server's answer to its end; err is that of the first attempt to read it.
func (s *clientSession) response(cmd session.Command, inTxn bool, err error) error {
	defer s.server.buf.giveBack()
	for ; ; err = s.server.fill() {
		if err != nil {
			return s.serverFailed(cmd, inTxn, err)
		}
		for again := true; again; {
			out, n, next, err := s.core.Server(s.server.buf.bytes())
			if s.agreed != nil {
				s.carryOut()
			}
			now := int64(0)
			if err == nil && next == session.Finished {
				s.answered() // now: the client may take its time
				now = s.replied.Load()
			} else {
				now = s.cluster.tallies.now()
			}
			if werr := s.toClient(out, now); werr != nil {
				return werr
			}
			s.flow.down(cmd.Code, len(out))
			s.server.buf.consume(n)
			again = false
			switch {
			case err != nil:
				return s.serverFailed(cmd, inTxn, err)
			case next == session.Finished:
				return nil
			case next == session.ReadInfile:
				if err := s.infile(); err != nil {
					return err
				}
				again = len(s.server.buf.bytes()) > 0
			}
		}
	}
}

// infile forwards the client's file to the server.
func (s *clientSession) infile() error {
	s.client.goOn()
	s.server.goOn()
	// The server may wait for locks while it does not read: that is no sign that it has vanished.
	sockopt.SetUserTimeout(s.server.conn, 0)
	defer func() { sockopt.SetUserTimeout(s.server.conn, s.cluster.config.Dialer.TCP().UserTimeout) }()
	for {
		if len(s.client.buf.bytes()) == 0 {
			if err := s.awaitClient(); err != nil {
				return err
			}
		}
		b := s.client.buf.bytes()
		n, done := s.core.Infile(b)
		if err := s.write(s.server.conn, b[:n]); err != nil {
			return s.serverFailed(s.core.Current(), s.core.InTransaction(), err)
		}
		s.flow.up(wire.ComQuery, n)
		s.client.buf.consume(n)
		if done {
			return nil
		}
		if n == 0 || len(s.client.buf.bytes()) > 0 {
			if err := s.awaitClient(); err != nil {
				return err
			}
		}
	}
}

// serverFailed says what became of a command whose server connection broke. Inside a transaction that the command
// would not have committed, the server has rolled back; otherwise the outcome is unknown, and nothing is sent twice.
func (s *clientSession) serverFailed(cmd session.Command, inTxn bool, err error) error {
	name := s.serverName()
	s.lost()
	a := s.aborted()
	if a != nil {
		err = a.cause
	}
	cut := s.core.Started() || s.core.Streaming()
	s.dropServer()
	s.cluster.metrics.serverLost.Inc()
	if s.kills.Load() > 0 { // the server hangs up before it tells the one who kills
		return errors.Join(errMidResponse, errKilled)
	}
	var out *clientError
	switch {
	case cmd.ReadOnly && !inTxn:
		out = errReadLost(name, err)
	case !inTxn || cmd.MayCommit():
		out = errUnknownOutcome(name, err)
	case a != nil:
		out = errRolledBack(err)
	default:
		out = errTransactionLost(name, err)
	}
	if s.core.Pins() != 0 {
		out.fatal = true
	}
	if cut {
		return errors.Join(errMidResponse, out)
	}
	return out
}

// errMidResponse says that the client got part of a response: the connection can only be closed.
var errMidResponse = errors.New("response was cut off")

// stream copies both directions of a binary log dump until one side ends it.
func (s *clientSession) stream() error {
	s.endUnit()
	s.watch(0) // no time-out of the server's holds for a stream
	s.client.stream(s.flavor)
	s.server.stream(s.flavor)
	server := s.server.conn
	wait := tandem.Go(func() {
		defer func() { _ = server.Close() }()
		for {
			if b := s.client.buf.bytes(); len(b) > 0 { // semi-sync acknowledgements
				if s.write(server, b) != nil {
					break
				}
				s.client.buf.consume(len(b))
			}
			if s.client.fill() != nil { // a nudge ends the stream as well
				break
			}
		}
	})
	var err error
	for next := session.ReadServer; err == nil && next != session.Finished; {
		if err = s.server.fill(); err != nil {
			break
		}
		var out []byte
		var n int
		out, n, next, err = s.core.Server(s.server.buf.bytes())
		if werr := s.toClient(out, s.cluster.tallies.now()); werr != nil {
			err = werr
		}
		s.flow.down(s.core.Current().Code, len(out))
		s.server.buf.consume(n)
	}
	_ = s.clientTC.SetReadDeadline(time.Unix(1, 0))
	wait()
	return errors.Join(errMidResponse, err)
}
