package gtid

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// OfServer gives the part of a MariaDB position that the server with that server_id wrote; unknown for other kinds.
func (p Position) OfServer(id uint32) Position {
	if p.kind != KindMariaDB {
		return Position{}
	}
	var own []mariaEntry
	for _, e := range p.maria {
		if e.server == id {
			own = append(own, e)
		}
	}
	return mariaPosition(own)
}

// OfSource gives the part of a MySQL set that was committed under that server_uuid, tags included; unknown for other
// kinds.
func (p Position) OfSource(uuid string) Position {
	if p.kind != KindMySQL {
		return Position{}
	}
	var own []mysqlSet
	for _, s := range p.sets {
		if s.uuid == strings.ToLower(uuid) {
			own = append(own, s)
		}
	}
	return mysqlPosition(own)
}

// Union gives what p or q has. Of MariaDB positions it is MergeMariaDB; unknown for other kinds or different ones.
func Union(p, q Position) Position {
	switch {
	case p.kind != q.kind:
		return Position{}
	case p.kind == KindMariaDB:
		return MergeMariaDB(p, q)
	case p.kind == KindMySQL:
		var sets []mysqlSet
		for _, s := range slices.Concat(p.sets, q.sets) {
			s.intervals = slices.Clone(s.intervals)
			sets = append(sets, s)
		}
		return mysqlPosition(sets)
	default:
		return Position{}
	}
}

// Common gives what both have: the intersection of MySQL sets; for MariaDB the lower sequence number of each domain
// and server. Unknown for other kinds or different ones.
func Common(p, q Position) Position {
	switch {
	case p.kind != q.kind:
		return Position{}
	case p.kind == KindMariaDB:
		return mariaPosition(mariaCommon(p.maria, q.maria))
	case p.kind == KindMySQL:
		return Minus(p, Minus(p, q))
	default:
		return Position{}
	}
}

func mariaCommon(p, q []mariaEntry) []mariaEntry {
	var out []mariaEntry
	for _, e := range p {
		if i, ok := slices.BinarySearchFunc(q, e, orderMaria); ok {
			e.seq = min(e.seq, q[i].seq)
			out = append(out, e)
		}
	}
	return out
}

// Minus gives what p has and q lacks, of MySQL sets; unknown for other kinds, where it cannot be said in positions.
func Minus(p, q Position) Position {
	if p.kind != KindMySQL || q.kind != KindMySQL {
		return Position{}
	}
	var out []mysqlSet
	for _, s := range p.sets {
		var have []interval
		if i, ok := slices.BinarySearchFunc(q.sets, s, orderMySQL); ok {
			have = q.sets[i].intervals
		}
		if rest := minusIntervals(s.intervals, have); len(rest) > 0 {
			out = append(out, mysqlSet{uuid: s.uuid, tag: s.tag, intervals: rest})
		}
	}
	return mysqlPosition(out)
}

// minusIntervals gives what of in is not in out; both sorted and merged.
func minusIntervals(in, out []interval) []interval {
	var rest []interval
	for _, iv := range in {
		for _, o := range out {
			if o.last < iv.first || o.first > iv.last {
				continue
			}
			if o.first > iv.first {
				rest = append(rest, interval{iv.first, o.first - 1})
			}
			if o.last >= iv.last {
				iv.first = iv.last + 1
				break
			}
			iv.first = o.last + 1
		}
		if iv.first <= iv.last {
			rest = append(rest, iv)
		}
	}
	return rest
}

// Newest gives of a MariaDB position the entry with the highest sequence number of each domain, which is what
// gtid_slave_pos has to be for a server with that gtid_binlog_state. Unknown for other kinds.
func (p Position) Newest() Position {
	if p.kind != KindMariaDB {
		return Position{}
	}
	var out []mariaEntry
	for _, e := range p.chronological() {
		if n := len(out); n > 0 && out[n-1].domain == e.domain {
			out[n-1] = e
			continue
		}
		out = append(out, e)
	}
	return mariaPosition(out)
}

// StateText writes a MariaDB position as gtid_binlog_state wants it: the server takes the last entry of a domain for
// the newest transaction, so the highest sequence number comes last. "" for other kinds.
func (p Position) StateText() string {
	var text []string
	for _, e := range p.chronological() {
		text = append(text, strconv.FormatUint(uint64(e.domain), 10)+"-"+strconv.FormatUint(uint64(e.server), 10)+"-"+strconv.FormatUint(e.seq, 10))
	}
	return strings.Join(text, ",")
}

// chronological orders the entries by domain and, within one, by sequence number.
func (p Position) chronological() []mariaEntry {
	entries := slices.Clone(p.maria)
	slices.SortStableFunc(entries, func(a, b mariaEntry) int {
		return cmp.Or(cmp.Compare(a.domain, b.domain), cmp.Compare(a.seq, b.seq))
	})
	return entries
}

// LostOf gives the part of q written by the server with that server_id which p must have lost, of MariaDB positions;
// unknown for other kinds. In a domain in which p has transactions of that server they must reach as far; in another
// one, as after a restore from a backup of q's server, p has everything up to its newest transaction.
func (p Position) LostOf(server uint32, q Position) Position {
	if p.kind != KindMariaDB || q.kind != KindMariaDB {
		return Position{}
	}
	newest := newestByDomain(p.maria)
	var lost []mariaEntry
	for _, e := range q.maria {
		if e.server != server {
			continue
		}
		reached := newest[e.domain]
		if i, ok := slices.BinarySearchFunc(p.maria, e, orderMaria); ok {
			reached = p.maria[i].seq
		}
		if reached < e.seq {
			lost = append(lost, e)
		}
	}
	return mariaPosition(lost)
}
