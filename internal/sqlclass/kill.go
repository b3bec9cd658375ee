package sqlclass

import "strconv"

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

// KillOperand is the place of the id in the text of a KILL statement: sql[Start:End], without quotes.
type KillOperand struct {
	Kind KillKind
	// ID is the id of a connection. It is not known while the statement is prepared with a placeholder.
	ID          uint64
	Placeholder bool
	Start, End  int
	// Stop is where the statement ends: the length of sql, or with More the place of the semicolon behind which others follow.
	Stop int
	More bool
}

// KillTarget finds the connection that a KILL statement ends. The id may be written in any way that servers take for a
// whole number: 17, 0x11, '17', +17, (17). It is false when sql does not begin with a KILL of such a number; then, if
// Kind is KillUser or KillQueryID, the server knows what is meant by itself.
func KillTarget(sql []byte, opt Options) (k KillOperand, ok bool) {
	r := reader{}
	r.lex.init(sql, opt)
	if r.next().entry.word() != wordKill {
		return k, false
	}
	t := r.next()
	if w := t.entry.word(); w == wordSoft || w == wordHard {
		t = r.next()
	}
	switch t.entry.word() {
	case wordConnection:
		t = r.next()
	case wordQuery:
		k.Kind = KillQuery
		if t = r.next(); equalFold(r.text(t), "id") {
			k.Kind = KillQueryID
			return k, false
		}
	case wordUser:
		k.Kind = KillUser
		return k, false
	default:
	}
	open := 0
	for ; t.is('(') || t.is('+'); t = r.next() {
		if t.is('(') {
			open++
		}
	}
	if !k.operand(&r, t) {
		return k, false
	}
	for ; open > 0; open-- {
		if !r.next().is(')') {
			return k, false
		}
	}
	if r.next().kind != tokenSemi {
		k.Stop = len(sql)
		return k, r.last.kind == tokenEnd && !r.lex.broken
	}
	k.Stop = r.last.start
	exec := r.lex.sawExec
	if r.nothingLeft() {
		k.Stop = len(sql)
		return k, true
	}
	k.More = true
	return k, !exec // an executable comment may go beyond the semicolon
}

// KilledUser gives the user whose connections, from any host, a statement ends that is nothing but a KILL USER (MariaDB:
// KILL [HARD | SOFT] [CONNECTION] USER name[@'%']), "" for any other.
func KilledUser(sql []byte, opt Options) string {
	r := reader{}
	r.lex.init(sql, opt)
	if r.next().entry.word() != wordKill {
		return ""
	}
	t := r.next()
	if w := t.entry.word(); w == wordSoft || w == wordHard {
		t = r.next()
	}
	if t.entry.word() == wordConnection {
		t = r.next()
	}
	if t.entry.word() != wordUser {
		return ""
	}
	if t = r.next(); t.kind == tokenEnd || t.kind == tokenSemi || t.is('@') {
		return ""
	}
	name := r.name(t)
	if text := string(r.text(r.next())); text == "@'%'" || text == "@`%`" || text == `@"%"` {
		r.next()
	}
	if r.last.kind != tokenEnd && !(r.last.kind == tokenSemi && r.nothingLeft()) || r.lex.broken {
		return ""
	}
	return name
}

// operand reads the id itself.
func (k *KillOperand) operand(r *reader, t token) (ok bool) {
	k.Start, k.End = t.start, t.end
	text, base := r.text(t), 10
	switch {
	case t.is('?'):
		k.Placeholder = true
		return true
	case t.kind == tokenString:
		text = unquote(text, r.lex.noBackslash)
		k.Start, k.End = k.Start+1, k.End-1 // the quotes stay: nothing else may be between KILL and them
	case t.kind != tokenNumber:
		return false
	case len(text) > 2 && text[0] == '0' && text[1] == 'x': // 0X is a name to the servers
		text, base = text[2:], 16
	}
	id, err := strconv.ParseUint(string(text), base, 64)
	k.ID = id
	return err == nil
}
