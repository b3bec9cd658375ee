package chaos

import "time"

// Outcome is what a client was told of a write.
type Outcome uint8

// The outcomes. Unknown is the honest answer to a connection that broke amid a COMMIT.
const (
	OK      Outcome = iota // acknowledged
	Fail                   // refused or rolled back: it must never be there
	Unknown                // it may be there or not, for good
)

// String gives the lower-case name.
func (o Outcome) String() string {
	switch o {
	case OK:
		return "ok"
	case Fail:
		return "fail"
	case Unknown:
		return "unknown"
	default:
		return "?"
	}
}

// Kind is what a client did.
type Kind uint8

// The kinds of operations. All but the reads write one transaction.
const (
	Append   Kind = iota // rows with unique ids
	Transfer             // money between two accounts, and a row about it
	Sequence             // a row whose id the server gives
	Count                // the client's own counter, set to a higher value
	ReadBack             // the client's own counter, read from the primary
	Snapshot             // the sum of all accounts, in one statement
	Presence             // whether a row is there, read from the primary
)

// String gives the lower-case name.
func (k Kind) String() string {
	switch k {
	case Append:
		return "append"
	case Transfer:
		return "transfer"
	case Sequence:
		return "sequence"
	case Count:
		return "count"
	case ReadBack:
		return "read-back"
	case Snapshot:
		return "snapshot"
	case Presence:
		return "presence"
	default:
		return "?"
	}
}

// Op is one operation of one client. Times are since the start of the run.
type Op struct {
	Kind    Kind
	Client  int
	Invoke  time.Duration
	Told    time.Duration
	Outcome Outcome
	Err     string
	// IDs are the rows of an Append or Transfer, or the row that a Sequence's value belongs to.
	IDs []int64
	// Value is what a Sequence got, a Count set, a ReadBack or Snapshot saw; 1 or 0 for a Presence.
	Value int64
	// Server is the server that answered a Presence.
	Server uint32
	// Twice is true when the server said that the row had been there before: the write was executed twice.
	Twice bool
}

// Sample is what the proxy said of itself at one moment between Asked and Answered.
type Sample struct {
	Asked, Answered time.Duration
	Epoch           uint64
	Primary         string // "" while there is none
	State           string
}

// Flags are what one server said of itself at one moment between Asked and Answered.
type Flags struct {
	Server          string
	Asked, Answered time.Duration
	ReadOnly        bool
	Super           bool // super_read_only; equal to ReadOnly on MariaDB
}

// Writable reports whether ordinary accounts can write.
func (f Flags) Writable() bool { return !f.ReadOnly && !f.Super }

// Fault is one thing that was done to the cluster. To is when it was undone, or over.
type Fault struct {
	Name     string
	From, To time.Duration
	// Zombie: a primary that was cut off or hung may stay writable for itself until the proxy reaches it again.
	Zombie bool
	// Harmless: no failover may come of it.
	Harmless bool
	// NoCandidate: no standby is fit to be promoted while it lasts.
	NoCandidate bool
	// Planned: the primary role was asked to move.
	Planned bool
	// Budget is how long after To the first write may take to be acknowledged.
	Budget time.Duration
	// Healthy is when the cluster was seen running with all its servers again, 0 if it was not in time.
	Healthy time.Duration
}

// Failover is an unplanned move of the primary role as the proxy reported it.
type Failover struct {
	At       time.Duration // when the new primary was published
	From, To string
	Fence    string
	AtLeast  uint64
	Window   time.Duration // negative: not known
	Exact    bool
	SemiSync bool // the commits of the old primary waited for the new one
	// Back is true when the old primary was examined after its return. Errant are the rows that only it had then, found
	// by comparing the tables; Reported is how many rows of the same tables the proxy counted in its transactions.
	Back     bool
	Errant   map[int64]Row
	Reported int
}

// Row is one row of an Append or Transfer.
type Row struct {
	Client int
	Server uint32 // the server_id of the server that executed it, as it wrote it into the row
}

// Move is the money of a Transfer.
type Move struct {
	From, To int
	Amount   int64
	Row
}

// Contents are the tables of one server at the end, when all have caught up.
type Contents struct {
	Server    string
	Rows      map[int64]Row
	Transfers map[int64]Move
	Accounts  map[int]int64
	Sequence  map[int64]int64 // value: id of the row that it belongs to
	Counters  map[int]int64
	Checksums map[string]string // by table
	Position  string
	ReadOnly  bool
	Super     bool
}

// Census counts what must come back to where it was.
type Census struct {
	Goroutines  int
	Connections map[string]int // by server
}

// History is the record of one run.
type History struct {
	Flavor   string
	SemiSync bool
	Deposit  int64             // the sum of all accounts at the start
	IDs      map[uint32]string // server_id: name
	Ops      []Op
	Samples  []Sample
	Flags    []Flags
	Faults   []Fault
	// Failovers are in order.
	Failovers []Failover
	Final     []Contents
	FinalRun  string // the cluster's state at the end
	Before    Census
	After     Census
	// GTID: positions are comparable between the servers.
	GTID bool
}
