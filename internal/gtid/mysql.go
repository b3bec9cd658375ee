package gtid

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
)

// mysqlSet is the transactions of one source: its UUID and, since MySQL 8.3, a tag ("" for none).
type mysqlSet struct {
	uuid, tag string // lower case
	intervals []interval
}

// interval is first to last, both included, last >= first >= 1.
type interval struct{ first, last uint64 }

// maxTag is the longest tag MySQL takes (32 characters, letters, digits and underscore).
const maxTag = 32

// ParseMySQL reads @@gtid_executed, Retrieved_Gtid_Set and the like, with tags, blanks and newlines as servers
// print them. The empty text is the known empty set. Errors wrap ErrSyntax.
func ParseMySQL(text string) (Position, error) {
	if len(text) > maxText {
		return Position{}, syntaxError("too long", text)
	}
	var sets []mysqlSet
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		var ok bool
		if sets, ok = appendMySQLPart(sets, part); !ok {
			return Position{}, syntaxError("no uuid[:tag]:interval", part)
		}
	}
	return mysqlPosition(sets), nil
}

// appendMySQLPart reads uuid:items, where an item is an interval or a tag that the following intervals belong to.
func appendMySQLPart(sets []mysqlSet, part string) ([]mysqlSet, bool) {
	uuid, rest, ok := strings.Cut(part, ":")
	if uuid = strings.ToLower(strings.TrimSpace(uuid)); !ok || !validUUID(uuid) {
		return sets, false
	}
	cur := mysqlSet{uuid: uuid}
	fresh := false // a tag was read, its first interval not yet
	for item := range strings.SplitSeq(rest, ":") {
		item = strings.TrimSpace(item)
		if iv, ok := parseInterval(item); ok {
			cur.intervals = append(cur.intervals, iv)
			fresh = false
			continue
		}
		if fresh || !validTag(item) {
			return sets, false
		}
		if len(cur.intervals) > 0 {
			sets = append(sets, cur)
		}
		cur = mysqlSet{uuid: uuid, tag: strings.ToLower(item)}
		fresh = true
	}
	if len(cur.intervals) == 0 {
		return sets, false
	}
	return append(sets, cur), true
}

func validUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

func validTag(s string) bool {
	if s == "" || len(s) > maxTag || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		c := s[i] | 0x20
		if (c < 'a' || c > 'z') && (s[i] < '0' || s[i] > '9') && s[i] != '_' {
			return false
		}
	}
	return true
}

func parseInterval(s string) (interval, bool) {
	a, b, ranged := strings.Cut(s, "-")
	first, ok := parseUint(strings.TrimSpace(a), 64)
	if !ok || first == 0 || first > math.MaxInt64 {
		return interval{}, false
	}
	if !ranged {
		return interval{first, first}, true
	}
	last, ok := parseUint(strings.TrimSpace(b), 64)
	if !ok || last < first || last > math.MaxInt64 {
		return interval{}, false
	}
	return interval{first, last}, true
}

func mysqlPosition(sets []mysqlSet) Position {
	sets = sortedUnique(sets, orderMySQL, func(a, b mysqlSet) mysqlSet {
		a.intervals = append(slices.Clip(a.intervals), b.intervals...)
		return a
	})
	for i := range sets {
		sets[i].intervals = mergeIntervals(sets[i].intervals)
	}
	return Position{kind: KindMySQL, text: mysqlText(sets), sets: sets}
}

func orderMySQL(a, b mysqlSet) int {
	if c := cmp.Compare(a.uuid, b.uuid); c != 0 {
		return c
	}
	return cmp.Compare(a.tag, b.tag)
}

func mergeIntervals(in []interval) []interval {
	slices.SortFunc(in, func(a, b interval) int { return cmp.Compare(a.first, b.first) })
	out := in[:0]
	for _, iv := range in {
		if n := len(out); n > 0 && iv.first <= out[n-1].last+1 {
			out[n-1].last = max(out[n-1].last, iv.last)
			continue
		}
		out = append(out, iv)
	}
	return out
}

func mysqlText(sets []mysqlSet) string {
	var text []byte
	for i, s := range sets {
		switch {
		case i > 0 && sets[i-1].uuid == s.uuid:
			text = append(append(text, ':'), s.tag...)
		default:
			if i > 0 {
				text = append(text, ',')
			}
			text = append(text, s.uuid...)
			if s.tag != "" {
				text = append(append(text, ':'), s.tag...)
			}
		}
		for _, iv := range s.intervals {
			text = strconv.AppendUint(append(text, ':'), iv.first, 10)
			if iv.last > iv.first {
				text = strconv.AppendUint(append(text, '-'), iv.last, 10)
			}
		}
	}
	return string(text)
}

func mysqlContains(p, q []mysqlSet) bool {
	for lacking := range mysqlLacking(p, q) {
		if lacking > 0 {
			return false
		}
	}
	return true
}

// mysqlCountMissing counts the transactions of want that are not in have; it stops at the largest number.
func mysqlCountMissing(have, want []mysqlSet) uint64 {
	var n uint64
	for lacking := range mysqlLacking(have, want) {
		if n+lacking < n {
			return math.MaxUint64
		}
		n += lacking
	}
	return n
}

// mysqlLacking yields, for each source of want, how many of its transactions have lacks.
func mysqlLacking(have, want []mysqlSet) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		i := 0
		for _, w := range want {
			for i < len(have) && orderMySQL(have[i], w) < 0 {
				i++
			}
			var h []interval
			if i < len(have) && orderMySQL(have[i], w) == 0 {
				h = have[i].intervals
			}
			if !yield(missingIntervals(h, w.intervals)) {
				return
			}
		}
	}
}

// missingIntervals counts what of want is not in have; both sorted and merged.
func missingIntervals(have, want []interval) uint64 {
	var n uint64
	i := 0
	for _, w := range want {
		n += w.last - w.first + 1
		for i < len(have) && have[i].last < w.first {
			i++
		}
		for j := i; j < len(have) && have[j].first <= w.last; j++ {
			n -= min(w.last, have[j].last) - max(w.first, have[j].first) + 1
		}
	}
	return n
}
