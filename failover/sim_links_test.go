package failover

import (
	"time"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// simNetTimeout is slave_net_timeout.
const simNetTimeout = 3 * time.Second

// simLink is one replication link at its receiving server.
type simLink struct {
	at, from *simServer
	io, sql  bool // what was ordered
	state    topology.ThreadState
	errno    int
	text     string
	sqlErrno int
	// connected is the receiver's TCP connection; heard is when anything came over it last.
	connected bool
	heard     time.Duration
	beats     uint64
	relay     []int
	next      int // the next entry of the source's log to receive
	logGen    int
	relayFile int
	applied   int // up to where of the source's log the applier is
	applFile  int
	busy      bool // a delivery is on its way
	gone      bool // taken away
	semi      bool // the receiver acknowledges
	parked    bool // points nowhere

	received             [3]uint64 // what the positions below were made of
	receivedPos          gtid.Position
	receivedAt, appliedP gtid.Position
	keyR, keyA           [2]int
}

func (w *world) linkOf(at, from *simServer) *simLink {
	for _, l := range at.links {
		if l.from == from {
			return l
		}
	}
	return nil
}

// timer looks after the connection: heartbeats, time-outs, new attempts.
func (l *simLink) timer() {
	w := l.at.world
	if l.gone {
		return
	}
	l.tick()
	w.after(w.between(200*time.Millisecond, 300*time.Millisecond), l.timer)
}

func (l *simLink) tick() {
	w := l.at.world
	if !l.at.up || l.at.frozen || !l.io {
		return
	}
	switch through := l.from.answers(l.at.i); {
	case l.connected && through:
		if w.now-l.heard >= 900*time.Millisecond {
			l.beats++
			l.heard = w.now
		}
		l.kick()
	case l.connected && w.now-l.heard >= simNetTimeout:
		l.connected, l.state, l.errno, l.text = false, topology.ThreadConnecting, 2003, "error reconnecting to master: Can't connect to server (110 \"Connection timed out\")"
	case !l.connected:
		l.connect()
	}
}

// connect makes an attempt to reach the source.
func (l *simLink) connect() {
	switch s := l.from; {
	case !l.io || !l.at.up || l.at.frozen:
	case l.parked:
		l.state, l.errno, l.text = topology.ThreadConnecting, 2005, "Unknown server host 'parked.onewriter.invalid'"
	case !l.at.world.reaches(l.at.i, s.i), s.frozen:
		l.state = topology.ThreadConnecting
		if l.errno == 0 {
			l.errno, l.text = 2003, "error connecting: Can't connect to server (110 \"Connection timed out\")"
		}
	case !s.up:
		l.state, l.errno, l.text = topology.ThreadConnecting, 2003, "error connecting: Can't connect to server (111 \"Connection refused\")"
	default:
		l.open()
	}
}

// open begins to receive at the right place: by GTID where the histories say, else where it stopped.
func (l *simLink) open() {
	w := l.at.world
	if !w.shape.filePos {
		if !w.shape.mysql && len(l.relay) == 0 && !l.follows() {
			l.state, l.errno, l.text = topology.ThreadNo, 1236, "the transaction is not in the master's binlog"
			return
		}
		l.next, l.applied = l.from.prefix(l.at, l.relay)
	} else if l.next > len(l.from.log) || l.logGen != l.from.logGen {
		l.state, l.errno, l.text = topology.ThreadNo, 1236, "impossible position"
		return
	}
	l.logGen, l.relayFile = l.from.logGen, l.from.file
	if len(l.relay) == 0 {
		l.applFile = l.relayFile
	}
	l.connected, l.state, l.errno, l.text, l.heard = true, topology.ThreadYes, 0, "", w.now
	l.semi = l.at.semiReplica
	l.acknowledge()
	l.kick()
}

// follows reports whether a MariaDB source has everything of this server, without which it refuses.
func (l *simLink) follows() bool {
	for i, n := range l.at.have {
		if l.from.have[i] < n {
			return false
		}
	}
	return true
}

// prefix finds how much of the log another server has received, and how much of that it has applied.
func (s *simServer) prefix(of *simServer, relay []int) (received, applied int) {
	for received < len(s.log) && of.has(s.log[received]) {
		received++
	}
	applied = received
	if len(relay) == 0 {
		return received, applied
	}
	last := relay[len(relay)-1]
	for i := len(s.log) - 1; i >= applied; i-- {
		if s.log[i] == last {
			return i + 1, applied
		}
	}
	return received, applied
}

// lost is the end of the source's process.
func (l *simLink) lost() {
	if !l.connected || !l.at.world.reaches(l.at.i, l.from.i) {
		return
	}
	w := l.at.world
	w.after(w.between(20*time.Millisecond, 250*time.Millisecond), func() {
		if l.io && l.at.up && !l.from.up && !l.gone {
			l.connected, l.state = false, topology.ThreadConnecting
			l.errno, l.text = 2003, "error reconnecting to master: Can't connect to server (111 \"Connection refused\")"
		}
	})
}

// kick moves events on as long as there are any.
func (l *simLink) kick() {
	if l.busy || l.gone {
		return
	}
	if !l.receives() && !l.applies() {
		return
	}
	w := l.at.world
	l.busy = true
	w.after(w.between(200*time.Microsecond, 8*time.Millisecond)+w.slow[l.at.i], func() {
		l.busy = false
		l.move()
		l.kick()
	})
}

func (l *simLink) receives() bool {
	return l.connected && l.io && l.at.up && !l.at.frozen && l.from.answers(l.at.i) && (l.next < len(l.from.log) || l.relayFile != l.from.file)
}

func (l *simLink) applies() bool {
	return l.sql && l.sqlErrno == 0 && len(l.relay) > 0 && l.at.up && !l.at.frozen && l.at.world.now >= l.at.lagging
}

// move receives some and applies some.
func (l *simLink) move() {
	w := l.at.world
	if l.receives() {
		for n := 1 + w.rand.IntN(6); n > 0 && l.next < len(l.from.log); n-- {
			txn := l.from.log[l.next]
			l.next++
			l.heard = w.now
			if w.txns[txn].origin != l.at.i && !l.at.has(txn) { // its own come back and are skipped
				l.relay = append(l.relay, txn)
			}
		}
		l.relayFile = l.from.file
		l.acknowledge()
	}
	if l.applies() && (!w.shape.slowApplier || w.chance(10)) {
		n := min(len(l.relay), 1+w.rand.IntN(8))
		for i := range n {
			if !l.apply(l.relay[i]) {
				n = i
				break
			}
		}
		l.relay = append(l.relay[:0], l.relay[n:]...)
	}
	if len(l.relay) == 0 {
		l.applied, l.applFile = l.next, l.relayFile
	} else {
		l.applied = max(l.applied, l.next-len(l.relay))
	}
}

// apply executes one received transaction. MariaDB in strict mode refuses what would make sequence numbers go back.
func (l *simLink) apply(txn int) bool {
	w := l.at.world
	if l.at.has(txn) {
		return true
	}
	if !w.shape.mysql {
		for _, n := range l.at.have {
			if w.txns[txn].seq <= n {
				l.sqlErrno = 1950
				return false
			}
		}
	}
	l.at.add(txn)
	w.check.applied(l.at, txn)
	return true
}

// acknowledge tells a semi-sync source what has been received.
func (l *simLink) acknowledge() {
	if !l.semi || !l.from.semiSource || len(l.from.waiting) == 0 {
		return
	}
	l.from.acknowledged(func(txn int) bool {
		if l.at.has(txn) {
			return true
		}
		for i := len(l.relay) - 1; i >= 0; i-- {
			if l.relay[i] == txn {
				return true
			}
		}
		return false
	})
}

// stopIO, stopSQL and start are STOP and START. A MariaDB that starts a receiver by GTID while both threads are stopped
// deletes its relay log.
func (l *simLink) stopIO() {
	l.io, l.connected, l.state = false, false, topology.ThreadNo
	l.at.world.check.receiverStopped(l)
}

func (l *simLink) stopSQL() { l.sql = false }

func (l *simLink) start(io, sql bool) {
	w := l.at.world
	if io && !l.io {
		if !w.shape.mysql && !w.shape.filePos && !l.sql && l.sqlErrno == 0 {
			l.dropRelay()
		}
		l.io, l.errno, l.text = true, 0, ""
		l.connect()
	}
	if sql {
		l.sql, l.sqlErrno = true, 0
	}
	l.kick()
}

// park makes it point nowhere; what it has received is gone.
func (l *simLink) park() {
	if !l.io && !l.sql {
		l.dropRelay()
		l.parked = true
	}
}

// unpark points it back, stopped.
func (l *simLink) unpark() {
	l.stopIO()
	l.stopSQL()
	l.parked = false
}

func (l *simLink) dropRelay() {
	l.relay = nil
	l.next, l.relayFile = l.applied, l.applFile
}

// restarted is the start of the server that the link is on: links start by themselves.
func (l *simLink) restarted() {
	w := l.at.world
	if !w.shape.keepsRelay || !w.shape.mysql {
		l.dropRelay()
	}
	l.io, l.sql, l.sqlErrno, l.beats = true, true, 0, 0
	w.after(w.between(10*time.Millisecond, 200*time.Millisecond), l.connect)
}

func (l *simLink) sqlState() topology.ThreadState {
	if l.sql && l.sqlErrno == 0 {
		return topology.ThreadYes
	}
	return topology.ThreadNo
}

// facts is the link as its server reports it.
func (l *simLink) facts() topology.Link {
	w := l.at.world
	out := topology.Link{
		Source: l.from.inst.Address, SourceServerID: l.from.id, IO: l.state, SQL: l.sqlState(), IOErrno: l.errno, IOError: l.text,
		SQLErrno: l.sqlErrno, UsesGTID: !w.shape.filePos, Heartbeats: l.beats, HeartbeatPeriod: time.Second, Retry: time.Second,
	}
	if l.parked {
		out.Source = "parked.onewriter.invalid:3306"
	}
	if out.Running() {
		out.LagKnown = true
		if w.now < l.at.lagging && len(l.relay) > 0 {
			out.Lag = 2 * time.Second
		}
	}
	if l.sql && len(l.relay) == 0 {
		out.ApplierState = "Slave has read all relay log; waiting for more updates"
	}
	if key := [2]int{l.relayFile, l.next}; key != l.keyR || !l.receivedAt.Known() {
		l.keyR, l.receivedAt = key, l.from.place(l.relayFile, l.next)
	}
	if key := [2]int{l.applFile, l.applied}; key != l.keyA || !l.appliedP.Known() {
		l.keyA, l.appliedP = key, l.from.place(l.applFile, l.applied)
	}
	out.ReceivedFile, out.AppliedFile = l.receivedAt, l.appliedP
	if !out.UsesGTID {
		out.Received, out.Applied = out.ReceivedFile, out.AppliedFile
		return out
	}
	out.Applied = l.at.pos()
	out.Received = out.Applied
	if len(l.relay) > 0 {
		have := l.at.have
		for _, txn := range l.relay {
			t := &w.txns[txn]
			have[t.origin] = max(have[t.origin], t.seq)
		}
		if have != l.received || !l.receivedPos.Known() {
			l.received, l.receivedPos = have, w.textOf(have)
		}
		out.Received = l.receivedPos
	}
	return out
}
