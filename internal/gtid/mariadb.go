package gtid

import (
	"cmp"
	"strconv"
	"strings"
)

// mariaEntry is one domain-server-sequence triple: the last sequence number that server wrote in that domain.
type mariaEntry struct {
	domain, server uint32
	seq            uint64
}

// ParseMariaDB reads @@gtid_binlog_state, @@gtid_slave_pos, Gtid_IO_Pos and the like: a comma-separated list of
// domain-server-sequence, blanks and newlines allowed between entries. Of several entries for one domain and
// server the highest sequence number counts. The empty text is the known empty history. Errors wrap ErrSyntax.
func ParseMariaDB(text string) (Position, error) {
	if len(text) > maxText {
		return Position{}, syntaxError("too long", text)
	}
	var entries []mariaEntry
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		e, ok := parseMariaEntry(part)
		if !ok {
			return Position{}, syntaxError("no domain-server-sequence", part)
		}
		entries = append(entries, e)
	}
	return mariaPosition(entries), nil
}

func parseMariaEntry(s string) (mariaEntry, bool) {
	domain, rest, ok1 := strings.Cut(s, "-")
	server, seq, ok2 := strings.Cut(rest, "-")
	if !ok1 || !ok2 {
		return mariaEntry{}, false
	}
	d, ok1 := parseUint(domain, 32)
	n, ok2 := parseUint(server, 32)
	q, ok3 := parseUint(seq, 64)
	return mariaEntry{domain: uint32(d), server: uint32(n), seq: q}, ok1 && ok2 && ok3
}

// parseUint accepts decimal digits only: no sign, no blank, no underscore.
func parseUint(s string, bits int) (uint64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, bits)
	return n, err == nil
}

func mariaPosition(entries []mariaEntry) Position {
	entries = sortedUnique(entries, orderMaria, func(a, b mariaEntry) mariaEntry {
		a.seq = max(a.seq, b.seq)
		return a
	})
	text := make([]byte, 0, 16*len(entries))
	for i, e := range entries {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendUint(text, uint64(e.domain), 10)
		text = append(text, '-')
		text = strconv.AppendUint(text, uint64(e.server), 10)
		text = append(text, '-')
		text = strconv.AppendUint(text, e.seq, 10)
	}
	return Position{kind: KindMariaDB, text: string(text), maria: entries}
}

func orderMaria(a, b mariaEntry) int {
	if c := cmp.Compare(a.domain, b.domain); c != 0 {
		return c
	}
	return cmp.Compare(a.server, b.server)
}

// MergeMariaDB joins two MariaDB positions: the higher sequence number for each domain and server. An unknown
// operand counts as empty; the result is unknown when neither is a MariaDB position.
func MergeMariaDB(a, b Position) Position {
	if a.kind != KindMariaDB && b.kind != KindMariaDB {
		return Position{}
	}
	entries := make([]mariaEntry, 0, len(a.maria)+len(b.maria))
	entries = append(append(entries, a.maria...), b.maria...)
	return mariaPosition(entries)
}

// mariaContains: every (domain, server) of q is in p with at least that sequence number.
func mariaContains(p, q []mariaEntry) bool {
	i := 0
	for _, want := range q {
		for i < len(p) && orderMaria(p[i], want) < 0 {
			i++
		}
		if i == len(p) || orderMaria(p[i], want) != 0 || p[i].seq < want.seq {
			return false
		}
	}
	return true
}

// mariaMissing counts by domain, because one domain's servers share one row of sequence numbers.
func mariaMissing(have, want []mariaEntry) (uint64, bool) {
	if mariaContains(have, want) {
		return 0, true
	}
	if !mariaContains(want, have) {
		return 0, false
	}
	var n uint64
	newest := newestByDomain(have)
	for domain, seq := range newestByDomain(want) {
		n += seq - min(seq, newest[domain])
	}
	return n, true
}

// aheadByDomain counts the servers that have written in want what is not in have.
func aheadByDomain(have, want []mariaEntry) map[uint32]uint64 {
	m := make(map[uint32]uint64, 1)
	for _, e := range want {
		if !mariaContains(have, []mariaEntry{e}) {
			m[e.domain]++
		}
	}
	return m
}

func newestByDomain(entries []mariaEntry) map[uint32]uint64 {
	m := make(map[uint32]uint64, 1)
	for _, e := range entries {
		m[e.domain] = max(m[e.domain], e.seq)
	}
	return m
}
