package sqlclass

import "strconv"

// PreparedText returns name and text of a PREPARE statement with a literal text.
// It is false for everything else, PREPARE ... FROM @v and texts of several
// statements included. The name is without quotes, in the case it was written in;
// names of prepared statements do not mind case.
func PreparedText(sql []byte, opt Options) (name, text string, ok bool) {
	r := reader{}
	r.lex.init(sql, opt)
	if r.next().entry.word() != wordPrepare {
		return "", "", false
	}
	n := r.next()
	if n.kind != tokenWord && n.kind != tokenBacktick && n.kind != tokenString {
		return "", "", false
	}
	if r.next().entry.word() != wordFrom {
		return "", "", false
	}
	t := r.next()
	if t.kind != tokenString || !r.nothingLeft() {
		return "", "", false
	}
	return r.name(n), string(unquote(r.text(t), r.lex.noBackslash)), true
}

// DeallocatedName returns the name of the statement that DEALLOCATE PREPARE or
// DROP PREPARE drops, without quotes.
func DeallocatedName(sql []byte, opt Options) (name string, ok bool) {
	r := reader{}
	r.lex.init(sql, opt)
	if w := r.next().entry.word(); w != wordDeallocate && w != wordDrop {
		return "", false
	}
	if r.next().entry.word() != wordPrepare {
		return "", false
	}
	n := r.next()
	if n.kind != tokenWord && n.kind != tokenBacktick && n.kind != tokenString {
		return "", false
	}
	return r.name(n), r.nothingLeft()
}

// KillKind is what a KILL statement ends.
type KillKind uint8

// The kinds.
const (
	KillConnection KillKind = iota // KILL n, KILL CONNECTION n
	KillQuery                      // KILL QUERY n
	KillQueryID                    // MariaDB: KILL QUERY ID n, where n is no connection
	KillUser                       // MariaDB: KILL USER name
)

// String returns the kind in lower case.
func (k KillKind) String() string {
	switch k {
	case KillConnection:
		return "connection"
	case KillQuery:
		return "query"
	case KillQueryID:
		return "query_id"
	case KillUser:
		return "user"
	}
	return "invalid"
}

// KillTarget finds the connection that a KILL statement ends: sql[start:end] is
// the number id. It is false when sql is no single KILL of a plain number; then,
// if kind is KillUser or KillQueryID, the server knows what is meant by itself.
func KillTarget(sql []byte, opt Options) (kind KillKind, id uint64, start, end int, ok bool) {
	r := reader{}
	r.lex.init(sql, opt)
	if r.next().entry.word() != wordKill {
		return kind, 0, 0, 0, false
	}
	t := r.next()
	if w := t.entry.word(); w == wordSoft || w == wordHard {
		t = r.next()
	}
	switch t.entry.word() {
	case wordConnection:
		t = r.next()
	case wordQuery:
		kind = KillQuery
		if t = r.next(); equalFold(r.text(t), "id") {
			return KillQueryID, 0, 0, 0, false
		}
	case wordUser:
		return KillUser, 0, 0, 0, false
	default:
	}
	if t.kind != tokenNumber {
		return kind, 0, 0, 0, false
	}
	id, err := strconv.ParseUint(string(r.text(t)), 10, 64)
	if err != nil || !r.nothingLeft() {
		return kind, 0, 0, 0, false
	}
	return kind, id, t.start, t.end, true
}

// nothingLeft reads to the end of the text and reports whether nothing but semicolons
// was left of it.
func (r *reader) nothingLeft() bool {
	for {
		switch r.next().kind {
		case tokenEnd:
			return !r.lex.broken
		case tokenSemi:
		default:
			return false
		}
	}
}
