package failover

import (
	"time"

	"github.com/onewriter/onewriter/topology"
)

// simWrite is one write of a client.
type simWrite struct {
	epoch  topology.Epoch
	server *simServer
	txn    int
	acked  bool
	semi   bool // a replica had received it before the client was told
	// closed means that the data path has given it up: no answer reaches the client any more.
	closed bool
	at     time.Duration // when the client was told
}

// simDataPath is what steers the clients. It lives and dies with the process.
type simDataPath struct {
	world     *world
	published topology.Primary
	held      bool
	open      []*simWrite
	replied   [3]time.Duration
	written   int // acknowledged writes
}

// clients starts n clients that write for ever.
func (d *simDataPath) clients(n int) {
	for range n {
		d.world.after(d.world.between(0, 20*time.Millisecond), d.think)
	}
}

func (d *simDataPath) think() {
	w := d.world
	if !d.published.Instance.Known() || d.held {
		w.after(w.between(20*time.Millisecond, 60*time.Millisecond), d.think)
		return
	}
	s := w.server(d.published.Instance.Name)
	x := &simWrite{epoch: d.published.Epoch, server: s, txn: -1}
	d.open = append(d.open, x)
	w.after(w.between(100*time.Microsecond, time.Millisecond), func() { d.arrive(x) })
	w.after(w.between(20*time.Millisecond, 120*time.Millisecond), d.think)
}

// arrive is the statement at the server. What lies in its sockets is executed even when nobody waits for it.
func (d *simDataPath) arrive(x *simWrite) {
	w, s := d.world, x.server
	switch {
	case !w.reaches(w.onewriter(), s.i):
		w.after(5*time.Second, func() { d.drop(x) })
	case !s.up:
		d.drop(x)
	case s.frozen:
		s.late = append(s.late, func() { d.execute(x) })
		w.after(5*time.Second, func() { d.drop(x) })
	case x.closed && w.chance(50):
	default:
		d.execute(x)
	}
}

func (d *simDataPath) execute(x *simWrite) {
	w, s := d.world, x.server
	if !s.writable() {
		d.drop(x)
		return
	}
	semi := s.semiSource
	x.txn = s.commit(simTxn{kind: txnClient, at: w.now, write: x}, func(acked bool) {
		if !acked {
			d.drop(x)
			return
		}
		w.after(w.between(100*time.Microsecond, time.Millisecond), func() { d.answer(x, semi) })
	})
}

// answer is the server's OK on its way to the client.
func (d *simDataPath) answer(x *simWrite, semi bool) {
	w := d.world
	if x.closed || !w.reaches(w.onewriter(), x.server.i) {
		return
	}
	d.remove(x)
	x.acked, x.semi, x.at = true, semi, w.now
	d.replied[x.server.i] = w.now
	d.written++
	w.check.ack(x)
}

// drop ends a write without success.
func (d *simDataPath) drop(x *simWrite) {
	if !x.closed && !x.acked {
		x.closed = true
		d.remove(x)
	}
}

func (d *simDataPath) remove(x *simWrite) {
	for i, o := range d.open {
		if o == x {
			d.open[i] = d.open[len(d.open)-1]
			d.open = d.open[:len(d.open)-1]
			return
		}
	}
}

// cutoff closes what is open on the server, or everywhere if that is nil.
func (d *simDataPath) cutoff(s *simServer) {
	for i := len(d.open) - 1; i >= 0; i-- {
		if x := d.open[i]; s == nil || x.server == s {
			d.drop(x)
		}
	}
}

// serverGone is the end of the server's process: its connections are reset.
func (d *simDataPath) serverGone(s *simServer) { d.cutoff(s) }

func (w *world) server(name string) *simServer {
	for _, s := range w.servers {
		if s.name() == name {
			return s
		}
	}
	return nil
}
