package failover

import (
	"strconv"
	"strings"
	"time"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// txnKind says what a simulated transaction is.
type txnKind uint8

const (
	txnClient txnKind = iota
	txnBeat           // the monitor's heartbeat row
	txnEpoch          // a row of onewriter.epoch
)

// simTxn is one transaction. Its number in world.txns is its identity: what is true does not rest on GTIDs.
type simTxn struct {
	origin int
	seq    uint64
	kind   txnKind
	at     time.Duration
	row    epochRow
	write  *simWrite
}

// simServer is one database server.
type simServer struct {
	world        *world
	i            int
	inst         topology.Instance
	id           uint32
	uuid         string
	up, frozen   bool
	life         int
	ro, super    bool
	startsClosed bool
	file         int // number of the newest binary log
	log          []int
	logGen       int // changes when the log loses its end
	content      []uint64
	have         [3]uint64 // the newest sequence number of each origin
	row          epochRow
	beat         [3]time.Duration // the newest heartbeat row of each server
	links        []*simLink
	semiSource   bool
	semiReplica  bool
	waiting      []simWait // commits that wait for an acknowledgement
	late         []func()  // statements in its sockets while it is stopped
	strays       []*simStray
	lagging      time.Duration // until then appliers stand still
	started      time.Duration // when it was started last
	troubled     time.Duration // when anything happened last to it or to its network
	byHand       bool          // an operator has opened it
	openAway     time.Duration // since when it is away and open, and could be closed; 0 when that is not so
	openedIn     int           // one more than the life in which a step opened it last

	position   gtid.Position
	positioned bool
}

// simWait is a commit that waits for a replica to have received it.
type simWait struct {
	txn  int
	done func(acked bool)
}

// simStray is a statement that sets read_only and was not answered in time: it can still take effect unless it is killed.
type simStray struct{ dead bool }

func (s *simServer) name() string { return s.inst.Name }

func (s *simServer) closed() bool { return s.ro && (s.super || !s.world.shape.mysql) }

func (s *simServer) writable() bool { return !s.ro && !s.super }

// setClosed sets the flags as SetReadOnly does, setOpen as SetWritable does.
func (s *simServer) setClosed() { s.ro, s.super = true, s.world.shape.mysql }

func (s *simServer) setOpen() { s.ro, s.super = false, false }

func (s *simServer) has(txn int) bool {
	return txn/64 < len(s.content) && s.content[txn/64]&(1<<(txn%64)) != 0
}

// add appends to the binary log.
func (s *simServer) add(txn int) {
	for txn/64 >= len(s.content) {
		s.content = append(s.content, 0)
	}
	s.content[txn/64] |= 1 << (txn % 64)
	s.log = append(s.log, txn)
	s.learn(txn)
	for _, o := range s.world.servers {
		for _, l := range o.links {
			if l.from == s {
				l.kick()
			}
		}
	}
}

// learn updates what follows from the content.
func (s *simServer) learn(txn int) {
	t := &s.world.txns[txn]
	s.have[t.origin] = max(s.have[t.origin], t.seq)
	switch t.kind {
	case txnBeat:
		s.beat[t.origin] = max(s.beat[t.origin], t.at)
	case txnEpoch:
		if t.row.Epoch > s.row.Epoch {
			s.row = t.row
		}
	case txnClient:
	}
	s.positioned = false
}

// write commits a new transaction of this server.
func (s *simServer) write(t simTxn) int {
	w := s.world
	seq := s.have[s.i] + 1
	if !w.shape.mysql {
		for _, n := range s.have {
			seq = max(seq, n+1)
		}
	}
	txn := len(w.txns)
	t.origin, t.seq = s.i, seq
	w.txns = append(w.txns, t)
	s.add(txn)
	return txn
}

// truncate takes transactions away, which only a rewind does.
func (s *simServer) truncate(keep func(txn int) bool) {
	log := s.log
	s.log, s.content, s.have, s.row, s.beat = nil, nil, [3]uint64{}, epochRow{}, [3]time.Duration{}
	s.logGen++
	s.file++
	s.positioned = false
	for _, t := range log {
		if !keep(t) {
			continue
		}
		for t/64 >= len(s.content) {
			s.content = append(s.content, 0)
		}
		s.content[t/64] |= 1 << (t % 64)
		s.log = append(s.log, t)
		s.learn(t)
	}
}

// busy reports whether the server replicates or is read by a replica.
func (s *simServer) busy() bool {
	for _, o := range s.world.servers {
		for _, l := range o.links {
			if l.at == s && (l.io || l.sql) || l.from == s && l.connected {
				return true
			}
		}
	}
	return false
}

// copyOf gives the server the data of another one; its links begin there.
func (s *simServer) copyOf(o *simServer) {
	s.truncate(func(int) bool { return false })
	s.log = append([]int(nil), o.log...)
	s.content = append([]uint64(nil), o.content...)
	s.have, s.row, s.beat = o.have, o.row, o.beat
	for _, l := range s.links {
		if l.relay = nil; l.from == o {
			l.next, l.applied, l.relayFile, l.applFile, l.logGen = len(o.log), len(o.log), o.file, o.file, o.logGen
		}
	}
}

// commit writes and, with semi-sync, waits for the acknowledgement.
func (s *simServer) commit(t simTxn, done func(acked bool)) int {
	txn := s.write(t)
	if s.semiSource {
		s.waiting = append(s.waiting, simWait{txn, done})
	} else {
		done(true)
	}
	return txn
}

// acknowledged lets commits go that a replica has received.
func (s *simServer) acknowledged(has func(txn int) bool) {
	keep := s.waiting[:0]
	var gone []simWait
	for _, x := range s.waiting {
		if has == nil || has(x.txn) {
			gone = append(gone, x)
		} else {
			keep = append(keep, x)
		}
	}
	s.waiting = keep
	for _, x := range gone {
		x.done(true)
	}
}

// crash ends the process of the server at once. What is in its binary log survives.
func (s *simServer) crash() {
	if !s.up {
		return
	}
	s.up, s.frozen = false, false
	s.life++
	s.late, s.strays = nil, nil
	waiting := s.waiting
	s.waiting = nil
	for _, x := range waiting {
		x.done(false)
	}
	for _, l := range s.links {
		l.connected, l.state = false, topology.ThreadNo
	}
	for _, o := range s.world.servers {
		for _, l := range o.links {
			if l.from == s {
				l.lost()
			}
		}
	}
	s.world.data.serverGone(s)
}

// start brings it up again, as its configuration says.
func (s *simServer) start() {
	if s.up {
		return
	}
	s.up = true
	s.file++
	s.ro, s.super = s.startsClosed, false
	s.semiSource = false // it was set, not configured
	for _, l := range s.links {
		l.restarted()
	}
}

func (s *simServer) thaw() {
	if !s.up || !s.frozen {
		return
	}
	s.frozen = false
	late := s.late
	s.late = nil
	for _, do := range late {
		do()
	}
}

// answers is whether a statement from place gets there now.
func (s *simServer) answers(place int) bool {
	return s.up && !s.frozen && s.world.reaches(place, s.i)
}

// textOf writes a history in the notation of the flavour.
func (w *world) textOf(have [3]uint64) gtid.Position {
	var b strings.Builder
	for i, n := range have {
		if n == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		if w.shape.mysql {
			b.WriteString(w.servers[i].uuid + ":1-")
		} else {
			b.WriteString("0-" + strconv.Itoa(i+1) + "-")
		}
		b.WriteString(strconv.FormatUint(n, 10))
	}
	var p gtid.Position
	if w.shape.mysql {
		p, _ = gtid.ParseMySQL(b.String())
	} else {
		p, _ = gtid.ParseMariaDB(b.String())
	}
	return p
}

// place is a position in the binary log of the server.
func (s *simServer) place(file, n int) gtid.Position {
	return gtid.FilePos(s.name()+"-bin."+sixDigits(file), uint64(4+100*n))
}

func sixDigits(n int) string {
	text := strconv.Itoa(n)
	return "000000"[:6-len(text)] + text
}

func (s *simServer) end() gtid.Position { return s.place(s.file, len(s.log)) }

// gtids reports whether the servers keep GTIDs: always on MariaDB.
func (w *world) gtids() bool { return !w.shape.mysql || !w.shape.filePos }

func (s *simServer) pos() gtid.Position {
	if !s.world.gtids() {
		return s.end()
	}
	if !s.positioned {
		s.position, s.positioned = s.world.textOf(s.have), true
	}
	return s.position
}

// facts is what the server tells of itself.
func (s *simServer) facts() topology.Facts {
	w := s.world
	f := topology.Facts{
		Flavor: "mariadb", ServerID: s.id, ReadOnly: s.ro, SuperReadOnly: s.super, Position: s.pos(), GTID: w.gtids(), GTIDStrict: true,
		BinaryLog: true, LogsUpdates: true, Clock: w.clock(),
	}
	if w.shape.mysql {
		f.Flavor, f.ServerUUID = "mysql", s.uuid
	}
	if len(s.links) > 0 {
		f.Links = make([]topology.Link, 0, len(s.links))
		for _, l := range s.links {
			f.Links = append(f.Links, l.facts())
		}
	}
	return f
}
