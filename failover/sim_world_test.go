package failover

import (
	"container/heap"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/topology"
)

// simShape is what a simulated world is made of. It is drawn from the seed.
type simShape struct {
	servers    int
	circular   bool // two servers that replicate from each other
	mysql      bool
	filePos    bool // links go by file and position
	semiSync   bool // after sync, without end
	closed     bool // servers start read-only
	keepsRelay bool // what was received survives a restart
	automatic  bool // failover.mode: automatic
	// slowApplier makes servers apply far more slowly than they receive.
	slowApplier bool
	unfenced    bool // the policy lets a failover go on without any fence
	turns       bool // see turn; whether the cluster gets well is not judged, as nobody decides which server is right
}

func drawShape(r *rand.Rand) simShape {
	n := 2
	if r.IntN(3) == 0 {
		n = 3
	}
	return simShape{
		servers: n, circular: n == 2 && r.IntN(3) > 0, mysql: r.IntN(2) == 0, filePos: n == 2 && r.IntN(3) == 0,
		semiSync: n == 2 && r.IntN(3) == 0, closed: r.IntN(4) > 0, keepsRelay: r.IntN(2) == 0, automatic: r.IntN(8) > 0,
		unfenced: r.IntN(2) == 0,
	}
}

// world is everything outside the machine: servers, links, network, clients, the disk with the state file, and time.
type world struct {
	shape   simShape
	rand    *rand.Rand
	now     time.Duration // since the beginning
	queue   simQueue
	order   uint64
	events  int
	servers []*simServer
	txns    []simTxn
	// cut is whether packets between two places are dropped; place len(servers) is Onewriter's machine.
	cut     [4][4]bool
	busy    [3]bool // a server has no connection slot left
	slow    [3]time.Duration
	calm    bool // no more faults
	data    *simDataPath
	process *simProcess // nil while Onewriter does not run
	lives   int         // of the process
	stored  coord.State
	found   bool
	faults  simFaults
	check   *simChecks
	trace   *simTrace
	request int
	skew    time.Duration
}

// simFaults are mutations of the machine's wiring, by which the simulator proves that it sees what they break.
type simFaults struct {
	noFence      bool // fence and fence-old do nothing and report success
	noSave       bool // save reports success without storing
	noDrain      bool // apply reports success at once
	noCutoff     bool // cutoff leaves what is under way
	noTarget     bool // wait and verify report success at once
	alwaysDown   bool // every doubt is a proof of death
	alwaysClean  bool // every server that comes back is clean
	noReconnect  bool // a failover that is given up leaves the candidate as it is
	noQuarantine bool // a server that comes back is not closed
}

var simEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clock is the clock of Onewriter's machine, at is what it shows or showed at a time. It may be set while Onewriter does
// not run.
func (w *world) clock() time.Time { return w.at(w.now) }

func (w *world) at(d time.Duration) time.Time { return simEpoch.Add(d + w.skew) }

type simEvent struct {
	at    time.Duration
	order uint64
	do    func()
}

type simQueue []simEvent

func (q simQueue) Len() int { return len(q) }
func (q simQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}
func (q simQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *simQueue) Push(x any)   { *q = append(*q, x.(simEvent)) }
func (q *simQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = simEvent{}
	*q = old[:len(old)-1]
	return e
}

// after does something later.
func (w *world) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.queue, simEvent{w.now + d, w.order, do})
}

// between draws a duration.
func (w *world) between(a, b time.Duration) time.Duration {
	return a + time.Duration(w.rand.Int64N(int64(b-a)+1))
}

func (w *world) chance(percent float64) bool { return w.rand.Float64()*100 < percent }

// onewriter is the place of the process in the network.
func (w *world) onewriter() int { return len(w.servers) }

// reaches reports whether packets of place a get to server b and back.
func (w *world) reaches(a, b int) bool { return !w.cut[a][b] }

func newWorld(seed uint64, shape func(*rand.Rand) simShape) *world {
	r := rand.New(rand.NewPCG(seed, 17))
	w := &world{shape: shape(r), rand: r, check: newSimChecks()}
	w.check.world = w
	for i := range w.shape.servers {
		s := &simServer{world: w, i: i, id: uint32(i + 1), up: true, file: 1, ro: i > 0, uuid: "00000000-0000-0000-0000-00000000000" + strconv.Itoa(i+1)}
		name := string(rune('a' + i))
		s.inst = topology.Instance{Name: name, Address: name + ":3306"}
		s.super = s.ro && w.shape.mysql
		s.startsClosed = w.shape.closed
		w.servers = append(w.servers, s)
	}
	for i, s := range w.servers {
		s.semiSource, s.semiReplica = w.shape.semiSync && i == 0, w.shape.semiSync
		for j := range w.servers {
			if j == 0 && i > 0 || w.shape.circular && i == 0 && j == 1 {
				s.links = append(s.links, &simLink{at: s, from: w.servers[j], io: true, sql: true, relayFile: 1, applFile: 1})
			}
		}
	}
	for _, s := range w.servers {
		for _, l := range s.links {
			l.connect()
			l.timer()
		}
	}
	w.data = &simDataPath{world: w}
	w.data.clients(3)
	w.startProcess()
	return w
}

// step takes one event; false when there is none left.
func (w *world) step() bool {
	if len(w.queue) == 0 {
		return false
	}
	e := heap.Pop(&w.queue).(simEvent)
	w.now = e.at
	w.events++
	e.do()
	w.check.afterEvent()
	return w.check.broken == ""
}
