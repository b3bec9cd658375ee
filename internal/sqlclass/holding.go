package sqlclass

import "strings"

// LockName returns the name in a statement that takes or releases one named lock
// for certain and exactly once: SELECT or DO with a single call of GET_LOCK or
// RELEASE_LOCK on a literal, and nothing else. The name is in lower case.
func LockName(sql []byte, opt Options) (name string, ok bool) {
	r := reader{}
	r.lex.init(sql, opt)
	if w := r.next().entry.word(); w != wordSelect && w != wordDo {
		return "", false
	}
	f := r.next()
	if w := f.entry.word(); f.kind != tokenWord || w != wordNamedLock && w != wordNamedLockRelease {
		return "", false
	}
	if !equalFold(r.text(f), "get_lock") && !equalFold(r.text(f), "release_lock") {
		return "", false
	}
	if !r.next().is('(') {
		return "", false
	}
	t := r.next()
	if t.kind != tokenString || !plainString(string(r.text(t))) {
		return "", false
	}
	name = strings.ToLower(r.name(t))
	if r.next().is(',') {
		if r.next().is('-') {
			r.next()
		}
		if r.last.kind != tokenNumber {
			return "", false
		}
		r.next()
	}
	return name, r.last.is(')') && r.alias() && r.certain()
}

// alias reads [AS] name, if it is there.
func (r *reader) alias() bool {
	t := r.next()
	if t.entry.word() == wordAs {
		t = r.next()
	}
	if t.kind == tokenEnd || t.kind == tokenSemi {
		return true
	}
	return t.kind == tokenBacktick || t.kind == tokenString || t.kind == tokenWord && t.entry == 0
}

// certain reads to the end of the text: nothing may be left, and there must be no other
// way to read it.
func (r *reader) certain() bool {
	return r.nothingLeft() && !r.lex.sawExec && !r.lex.sawDollar
}

// Name is the name of a table, with its schema if one was written.
type Name struct{ Schema, Table string }

// TemporaryTables returns the tables that a CREATE TEMPORARY TABLE or DROP TEMPORARY
// TABLE names. It is false for everything else, temporary sequences included.
func TemporaryTables(sql []byte, opt Options) (names []Name, ok bool) {
	r := reader{}
	r.lex.init(sql, opt)
	create := r.next().entry.word() == wordCreate
	if !create && r.last.entry.word() != wordDrop {
		return nil, false
	}
	t := r.next()
	if create && t.entry.word() == wordOr { // OR REPLACE
		r.next()
		t = r.next()
	}
	if t.entry.word() != wordTemporary || r.next().entry.word() != wordTable {
		return nil, false
	}
	t = r.next()
	if t.kind == tokenWord && equalFold(r.text(t), "if") {
		if t = r.next(); t.entry.word() == wordNot {
			t = r.next()
		}
		if !equalFold(r.text(t), "exists") {
			return nil, false
		}
		t = r.next()
	}
	for {
		var n Name
		if n.Table, ok = r.identifier(t); !ok {
			return nil, false
		}
		if t = r.next(); t.is('.') {
			n.Schema = n.Table
			if n.Table, ok = r.identifier(r.next()); !ok {
				return nil, false
			}
			t = r.next()
		}
		names = append(names, n)
		if create || !t.is(',') {
			break
		}
		t = r.next()
	}
	if create {
		return names, !r.lex.sawExec && !r.lex.sawDollar
	}
	if t.kind == tokenWord { // RESTRICT, CASCADE
		r.next()
	}
	return names, (r.ended() || r.last.kind == tokenWord) && r.certain()
}

func (r *reader) identifier(t token) (string, bool) {
	switch t.kind {
	case tokenWord, tokenBacktick, tokenString:
		return r.name(t), true
	case tokenNumber: // 1st
		return string(r.text(t)), true
	default:
		return "", false
	}
}

// HandlerName returns the name under which HANDLER ... OPEN opens a table, or which
// HANDLER ... CLOSE closes, in lower case. It is false for everything else.
func HandlerName(sql []byte, opt Options) (name string, ok bool) {
	r := reader{}
	r.lex.init(sql, opt)
	if r.next().entry.word() != wordHandler {
		return "", false
	}
	if name, ok = r.identifier(r.next()); !ok {
		return "", false
	}
	t := r.next()
	if t.is('.') {
		if name, ok = r.identifier(r.next()); !ok {
			return "", false
		}
		t = r.next()
	}
	switch t.entry.word() {
	case wordClose:
		return strings.ToLower(name), r.certain()
	case wordOpen:
	default:
		return "", false
	}
	t = r.next()
	if t.entry.word() == wordAs {
		t = r.next()
	}
	if t.kind != tokenEnd && t.kind != tokenSemi {
		if name, ok = r.identifier(t); !ok {
			return "", false
		}
	}
	return strings.ToLower(name), r.certain()
}
