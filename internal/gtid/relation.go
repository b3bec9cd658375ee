package gtid

// Relation is how one history stands to another. The string form is a metric label.
type Relation uint8

// The relations of a to b.
const (
	RelationUnknown Relation = iota // either is unknown, or they are of different kinds
	Equal                           // the same history
	Behind                          // a is a proper ancestor of b: b has all of a and more
	Ahead                           // b is a proper ancestor of a
	Diverged                        // each has something that the other lacks
)

var relationNames = [...]string{"unknown", "equal", "behind", "ahead", "diverged"}

// String gives the lower-case name.
func (r Relation) String() string {
	if int(r) < len(relationNames) {
		return relationNames[r]
	}
	return relationNames[RelationUnknown]
}

// Relate compares two histories. MySQL GTID sets are compared as sets; MariaDB states per domain and server, which
// needs log_slave_updates on replicas and no RESET MASTER; file positions only make sense for one server's log.
// A restored server that wrote other content under the same GTIDs cannot be told apart by any position.
func Relate(a, b Position) Relation {
	if !a.Known() || a.kind != b.kind {
		return RelationUnknown
	}
	if a.Equal(b) {
		return Equal
	}
	if a.kind == KindFile {
		return relateFile(a, b)
	}
	ab, ba := a.Contains(b), b.Contains(a)
	switch {
	case ab && ba:
		return Equal
	case ba:
		return Behind
	case ab:
		return Ahead
	default:
		return Diverged
	}
}

func relateFile(a, b Position) Relation {
	c, ok := compareFile(a, b)
	switch {
	case !ok:
		return RelationUnknown
	case c < 0:
		return Behind
	case c > 0:
		return Ahead
	default:
		return Equal
	}
}

// Missing counts the transactions of want that have lacks. ok is false where that cannot be known: different kinds,
// diverged MariaDB histories, and file positions unless nothing is missing.
func Missing(have, want Position) (n uint64, ok bool) {
	if !have.Known() || have.kind != want.kind {
		return 0, false
	}
	switch have.kind {
	case KindMySQL:
		return mysqlCountMissing(have.sets, want.sets), true
	case KindMariaDB:
		return mariaMissing(have.maria, want.maria)
	case KindFile:
		return 0, have.Contains(want)
	case KindUnknown:
		return 0, false
	default:
		return 0, false
	}
}

// MissingLoosely is Missing for MariaDB servers without gtid_strict_mode, where servers that write at once use the same
// sequence numbers: each of them that has written something which is not in have counts for one transaction at least, also
// when the histories have diverged. Under strict mode it would count entries that were only forgotten.
func MissingLoosely(have, want Position) (n uint64, ok bool) {
	if have.kind != KindMariaDB || want.kind != KindMariaDB {
		return Missing(have, want)
	}
	newest, ahead := newestByDomain(have.maria), aheadByDomain(have.maria, want.maria)
	for domain, seq := range newestByDomain(want.maria) {
		n += max(seq-min(seq, newest[domain]), ahead[domain])
	}
	return n, true
}
