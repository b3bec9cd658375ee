package migration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/session"
)

// sequence is what happens to one session.
type sequence struct {
	caps    wire.Capability
	charset uint16
	user    string
	schema  string
	steps   []step
	// random says that the sequence may show what docs/protocol.md knows to differ.
	random bool
}

func (q sequence) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "client with capabilities %#x, collation %d, user %s, schema %q\n", uint64(q.caps), q.charset, q.user, q.schema)
	for i, s := range q.steps {
		fmt.Fprintf(&b, "%3d  %v\n", i, s)
	}
	return b.String()
}

// outcome is what became of a sequence.
type outcome struct {
	pinned []string // the kinds of pins that ended it
	lost   bool     // when it lost its server connection, and not by a move
	aborts int      // transactions lost with their server connection
}

// attempt is one run of a sequence.
type attempt struct {
	w                *worker
	q                sequence
	subject, control *peer
	held             held
	out              outcome
	silent           bool // the last command had no answer
	disturbed        bool // the server connection was or will be taken away
}

// run does the sequence on both connections. The error tells where they differ.
func (w *worker) run(q sequence) (outcome, error) {
	w.publish(0)
	a := &attempt{w: w, q: q, held: held{}}
	var err error
	if a.control, err = dial(w.place.servers[2].Addr(), q.user, mysqltest.AppPassword, q.schema, q.caps, q.charset); err != nil {
		return a.out, err
	}
	defer a.control.close()
	if a.subject, err = dial(w.cluster.Listeners()[0].Addr().String(), q.user, mysqltest.AppPassword, q.schema, q.caps, q.charset); err != nil {
		return a.out, err
	}
	defer a.subject.close()
	for i, s := range q.steps {
		if ended, err := a.step(s); err != nil || ended {
			if err != nil {
				err = fmt.Errorf("step %d, %v: %w", i, s, err)
			}
			return a.out, err
		}
	}
	return a.out, a.conclude()
}

// step does one step on both. ended tells that the proxy ended the session for a good reason.
func (a *attempt) step(s step) (ended bool, err error) {
	switch s.kind {
	case kindMove, kindKill:
		return a.disturb(s.kind)
	default:
	}
	got, err := a.subject.do(s)
	if err != nil {
		return false, fmt.Errorf("session: %w", err)
	}
	if strings.Contains(got, "onewriter: session ended") {
		return true, a.judgePin(got)
	}
	want, err := a.control.do(s)
	if err != nil {
		return false, fmt.Errorf("control: %w (the session says %q)", err, got)
	}
	if *verboseFlag {
		fmt.Printf("%v\n     %q\n", s, clip(want))
	}
	if s.kind != kindChangeUser && s.kind != kindClose && s.kind != kindLong && s.kind != kindStmtReset && want != unsent {
		a.disturbed = false
	}
	a.silent = s.kind == kindClose || s.kind == kindLong || want == unsent && a.silent
	a.held.apply(s)
	if got != want {
		return false, difference(got, want)
	}
	return false, nil
}

// disturb moves the session, or ends its server connection. An open transaction is lost, and the client is told.
func (a *attempt) disturb(k kind) (ended bool, err error) {
	if a.silent { // what has no answer may still be on its way
		if ended, err := a.step(step{kind: kindPing}); err != nil || ended {
			return ended, err
		}
	}
	a.disturbed = true
	if _, err := a.control.do(step{kind: kindPing}); err != nil { // an error does not tell whether a transaction is open
		return false, err
	}
	inTransaction := a.control.status&(wire.StatusInTrans|wire.StatusInTransReadonly) != 0
	a.w.settle(a.subject, inTransaction)
	if k == kindMove {
		a.w.publish(1 - a.w.at)
	} else if err := a.w.kill(context.Background(), a.subject); err != nil {
		return false, err
	}
	if !inTransaction {
		return false, nil
	}
	if a.held.allows("xa") {
		return false, errSkip // XA transactions can't be rolled back just so
	}
	got, err := a.subject.do(step{kind: kindPing})
	if err != nil {
		return false, err
	}
	if strings.Contains(got, "onewriter: session ended") {
		return true, a.judgePin(got)
	}
	if !strings.Contains(got, "onewriter: transaction rolled back") {
		return false, fmt.Errorf("a lost transaction is answered with %q", got)
	}
	a.out.aborts++
	_, err = a.control.do(query(rollback))
	return false, err
}

// rollback ends a transaction whatever completion_type is.
const rollback = "ROLLBACK AND NO CHAIN NO RELEASE"

// errSkip ends a sequence that can't be compared further.
var errSkip = errors.New("not comparable")

// judgePin checks that the session was ended for reasons that are there.
func (a *attempt) judgePin(text string) error {
	if !a.disturbed {
		return fmt.Errorf("ended though nothing happened: %s", text)
	}
	if strings.Contains(text, "cannot prepare") && strings.Contains(text, "ERROR 1142") { // under another role than at first
		a.out.pinned = []string{"refused"}
		return nil
	}
	a.out.lost = strings.Contains(text, "connection was lost")
	all := session.Pin(1<<20 - 1)
	kinds, reasons := all.Kinds(), all.Reasons()
	for i, r := range reasons {
		if strings.Contains(text, r) {
			a.out.pinned = append(a.out.pinned, kinds[i])
		}
	}
	if len(a.out.pinned) == 0 {
		return fmt.Errorf("ended for no pin: %s", text)
	}
	for _, k := range a.out.pinned {
		if !a.w.place.tracks() && (k == "unknown" || k == "routine") { // what the text does not tell
			continue
		}
		if !a.held.allows(k) {
			return fmt.Errorf("pinned by %s without a reason: %s", k, text)
		}
	}
	if _, err := a.subject.do(step{kind: kindPing}); !isClosed(err) {
		return fmt.Errorf("the connection lives on after the session was ended: %v", err)
	}
	return nil
}

func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed)
}

// conclude ends what is open and compares everything that can be observed.
func (a *attempt) conclude() error {
	for _, s := range []step{query(rollback), query("UNLOCK TABLES")} {
		if ended, err := a.step(s); err != nil || ended {
			return err
		}
	}
	if err := a.compare(); err != nil {
		return err
	}
	return nil
}

func difference(got, want string) error {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Errorf("differs in line %d:\n  session %s\n  control %s", i, clip(g[i]), clip(w[i]))
		}
	}
	return fmt.Errorf("differs:\n  session %s\n  control %s", clip(got), clip(want))
}

func clip(s string) string { return s[:min(len(s), 600)] }

// shrink leaves out steps while the sequence still fails.
func (w *worker) shrink(q sequence, failure error) (sequence, error) {
	for again := true; again; {
		again = false
		for i := len(q.steps) - 1; i >= 0; i-- {
			smaller := q
			smaller.steps = slices.Delete(slices.Clone(q.steps), i, i+1)
			if _, err := w.run(smaller); err != nil && !errors.Is(err, errSkip) {
				q, failure, again = smaller, err, true
			}
		}
	}
	return q, failure
}

func rngOf(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x5e55)) }
