package session

import (
	"errors"
	"fmt"

	"github.com/onewriter/onewriter/internal/wire"
)

// expectation is one response that the server owes to the proxy itself.
type expectation struct {
	command   byte
	statement *statement // being prepared again
	what      string     // for errors
	fetch     bool       // its answer is a result set that is wanted whole
}

// prelude is a batch of commands sent on the session's behalf, whose responses the client never sees.
type prelude struct {
	tracker wire.Tracker
	queue   []expectation
	at      int
	fetched []byte // the packets of an answer that is wanted
	refusal *wire.ServerError
}

func (p *prelude) begin(f wire.Features) {
	p.tracker = wire.NewTracker(f)
	p.queue, p.at, p.refusal = p.queue[:0], 0, nil
}

func (p *prelude) expect(e expectation) {
	if len(p.queue) == 0 {
		p.tracker.Begin(e.command)
	}
	p.queue = append(p.queue, e)
}

// RefusedError says that a server refused to restore a part of a session's state.
type RefusedError struct {
	What string // the part
	Err  error  // the server's error
}

// Error names the part and the server's reason.
func (e *RefusedError) Error() string { return fmt.Sprintf("cannot %s: %v", e.What, e.Err) }

// Unwrap gives the server's error.
func (e *RefusedError) Unwrap() error { return e.Err }

// Prelude takes bytes of the server that answer a prelude (Attach, NeedsPrepare, FollowUp): n of them are used up,
// done tells that all answers have come. The error is a *RefusedError or wraps ErrProtocol; either way the server
// connection cannot serve the session.
func (c *Core) Prelude(buf []byte) (n int, done bool, err error) {
	p := &c.prelude
	for p.at < len(p.queue) {
		m, f := p.tracker.Feed(buf[n:])
		e := p.queue[p.at]
		if e.fetch && f.Mark != wire.MarkERR {
			p.fetched = append(p.fetched, buf[n:n+m]...)
			if len(p.fetched) > maxFetched {
				return n, false, &RefusedError{What: e.what, Err: fmt.Errorf("they take more than %d bytes", maxFetched)}
			}
		}
		switch f.Mark {
		case wire.MarkMore:
			return n + m, false, nil
		case wire.MarkMalformed, wire.MarkInfile:
			return n, false, fmt.Errorf("%w: unexpected answer when trying to %s", ErrProtocol, e.what)
		case wire.MarkERR:
			err := refused(e, buf[n+f.Start:n+f.End])
			switch {
			case e.what == setUpTracking && expired(err):
				c.ledger.pins |= PinExpired // what is not reported can't be restored
			case e.statement != nil && errors.As(err, &p.refusal):
			default:
				return n, false, err
			}
		case wire.MarkPrepareOK:
			if err := c.reprepared(e.statement, buf[n+f.Start:n+f.End]); err != nil {
				return n, false, err
			}
		case wire.MarkOK:
			if e.command == wire.ComPing {
				c.learnPing(buf[n+f.Start+wire.HeaderSize : n+f.End])
			}
		case wire.MarkEOF, wire.MarkDone:
		}
		n += m
		if !f.Last {
			continue
		}
		if e.fetch {
			if err := c.fetched(p.fetched); err != nil {
				return n, false, &RefusedError{What: e.what, Err: err}
			}
			p.fetched = nil
		}
		if p.at++; p.at < len(p.queue) {
			p.tracker.Begin(p.queue[p.at].command)
		}
	}
	return n, true, nil
}

// learnPing takes the state of the session after a failed command, with what the ERR packet had no room for.
func (c *Core) learnPing(payload []byte) {
	o, err := wire.ParseOK(payload)
	if err != nil {
		return // Feed has parsed it before
	}
	c.saw.state, c.owed = false, false
	c.learnOK(&o)
	c.explain(c.effects)
}

// mustChangePassword is the error of all statements but a change of the password, after a login with an expired one.
const mustChangePassword = 1820

func expired(err error) bool {
	var se *wire.ServerError
	return errors.As(err, &se) && se.Code == mustChangePassword
}

func refused(e expectation, pkt []byte) error {
	se, err := wire.ParseErr(pkt[wire.HeaderSize:])
	if err != nil {
		return &RefusedError{What: e.what, Err: err}
	}
	return &RefusedError{What: e.what, Err: se}
}

// Refusal is the server's error if the last prelude could not prepare a statement again (NeedsPrepare): it is the answer to
// the client's command, as from a server that finds the tables of a statement changed. The server connection is well.
func (c *Core) Refusal() *wire.ServerError { return c.prelude.refusal }

// reprepared notes the new id of a statement. It may have other columns than before when a table was altered meanwhile;
// its executions tell the client, as they do when a server prepares a statement again by itself.
func (c *Core) reprepared(st *statement, pkt []byte) error {
	if st == nil {
		return nil
	}
	params := st.params
	st.readShape(pkt)
	if st.params != params {
		return &RefusedError{What: "prepare a statement again", Err: fmt.Errorf("it has %d parameters now, %d before", st.params, params)}
	}
	st.serverID, st.generation, st.sentTypes = getID(pkt), c.generation, false
	c.stmts.there = st
	return nil
}
