package sqlclass

import (
	"bytes"
	"strings"
)

// Scope is what the name of an [Assignment] belongs to.
type Scope uint8

// The scopes.
const (
	ScopeSession   Scope = iota // a session variable, the scope written or not
	ScopeGlobal                 // a global or persisted variable
	ScopeUser                   // a user variable; the name is without @
	ScopeNames                  // SET NAMES; the value may hold COLLATE
	ScopeCharset                // SET CHARACTER SET
	ScopeRole                   // SET ROLE; the value is the list of roles
	ScopeStatement              // SET STATEMENT: holds for the statement behind FOR
	scopeCount
)

// String returns the scope in lower case.
func (s Scope) String() string {
	if s >= scopeCount {
		return "invalid"
	}
	return [scopeCount]string{
		"session", "global", "user", "names", "charset", "role", "statement",
	}[s]
}

// Assignment is one item of a SET statement.
type Assignment struct {
	// Scope tells what Name is.
	Scope Scope
	// Name is in lower case and without quotes; empty for ScopeNames, ScopeCharset
	// and ScopeRole.
	Name string
	// Value is the source text of the value, without comments around it.
	Value string
	// Unscoped says that the variable was written @@name: for those of the transaction
	// that is the next one only.
	Unscoped bool
	// Literal says that Value is one literal or word (5, -1, 'x', ON, DEFAULT),
	// which means the same wherever and whenever it is sent again.
	Literal bool
}

// SessionSets returns the assignments of all SET statements in sql, in their
// order. It is false when one of them is something else (SET TRANSACTION, SET
// PASSWORD ...) or cannot be followed; the assignments before it are returned all
// the same.
func SessionSets(sql []byte, opt Options) ([]Assignment, bool) {
	r := reader{}
	r.lex.init(sql, opt)
	var list []Assignment
	for {
		t := r.next()
		switch {
		case t.kind == tokenEnd:
			return list, !r.lex.broken
		case t.kind == tokenSemi:
			continue
		case t.entry.word() != wordSet:
			r.skip()
			continue
		}
		var ok bool
		if list, ok = r.assignments(list); !ok {
			return list, false
		}
	}
}

// reader is a lexer that can look at its last token again.
type reader struct {
	lex  lexer
	last token
}

func (r *reader) next() token {
	r.last = r.lex.next()
	return r.last
}

func (r *reader) text(t token) []byte { return r.lex.src[t.start:t.end] }

func (r *reader) ended() bool { return r.last.kind == tokenEnd || r.last.kind == tokenSemi }

// skip reads to the end of the statement.
func (r *reader) skip() {
	for !r.ended() {
		r.next()
	}
}

// assignments reads the list behind SET.
func (r *reader) assignments(list []Assignment) ([]Assignment, bool) {
	scope := ScopeSession
	t := r.next()
	if t.entry.word() == wordStatement {
		scope, t = ScopeStatement, r.next()
	}
	for {
		a, ok := r.assignment(t, &scope)
		if !ok {
			return list, false
		}
		list = append(list, a)
		if r.last.entry.word() == wordFor {
			r.skip()
		}
		if r.ended() {
			return list, true
		}
		t = r.next()
	}
}

// assignment reads one item, whose first token is t, and the comma behind it.
func (r *reader) assignment(t token, scope *Scope) (Assignment, bool) {
	if t.kind == tokenUserVar {
		a := Assignment{Scope: ScopeUser, Name: r.userName(t)}
		return a, r.assigned() && r.value(&a, r.next())
	}
	switch t.entry.word() {
	case wordNames:
		a := Assignment{Scope: ScopeNames}
		return a, r.value(&a, r.next())
	case wordCharacter:
		if r.next().entry.word() == wordSet {
			r.next()
		}
		a := Assignment{Scope: ScopeCharset}
		return a, r.value(&a, r.last)
	case wordRole:
		a := Assignment{Scope: ScopeRole}
		return a, r.roles(&a)
	case wordPassword, wordTransaction, wordDefault, wordResource, wordAuthorization:
		return Assignment{}, false
	default:
		return r.variable(t, scope)
	}
}

// variable reads [scope] name = value. A scope behind @@ holds for this name only.
func (r *reader) variable(t token, scope *Scope) (Assignment, bool) {
	unscoped := t.kind == tokenSysVar
	if unscoped {
		own := ScopeSession
		if *scope == ScopeStatement {
			own = ScopeStatement
		}
		scope, t = &own, r.next()
	}
	switch t.entry.word() {
	case wordGlobal, wordSession, wordLocal:
		unscoped = false
		switch {
		case *scope == ScopeStatement:
		case t.entry.word() == wordGlobal:
			*scope = ScopeGlobal
		default:
			*scope = ScopeSession
		}
		if t = r.next(); t.is('.') {
			t = r.next()
		}
	default:
	}
	if t.kind != tokenWord && t.kind != tokenBacktick && t.kind != tokenString {
		return Assignment{}, false
	}
	if w := t.entry.word(); w == wordTransaction || w == wordAuthorization {
		return Assignment{}, false
	}
	a := Assignment{Scope: *scope, Name: strings.ToLower(r.name(t)), Unscoped: unscoped}
	return a, r.assigned() && r.value(&a, r.next())
}

// assigned reads = or :=.
func (r *reader) assigned() bool {
	t := r.next()
	return t.kind == tokenAssign || t.is('=')
}

// value reads from token t to a comma outside of parentheses, FOR of SET STATEMENT
// or the end.
func (r *reader) value(a *Assignment, t token) bool {
	start, end, tokens, parens := t.start, t.start, 0, 0
	a.Literal = true
	for ; !r.ended(); t = r.next() {
		switch {
		case t.is('('):
			parens++
		case t.is(')'):
			parens--
		case parens == 0 && (t.is(',') || a.Scope == ScopeStatement && t.entry.word() == wordFor):
			return r.closeValue(a, start, end, tokens)
		}
		sign := tokens == 0 && (t.is('-') || t.is('+'))
		if !sign {
			tokens++
			a.Literal = a.Literal && literal(t)
		}
		end = t.end
	}
	return r.closeValue(a, start, end, tokens)
}

// literal reports whether a token can be a whole value that is always the same.
func literal(t token) bool {
	switch t.kind {
	case tokenNumber, tokenString, tokenWord, tokenBacktick:
		return true
	default:
		return false
	}
}

func (r *reader) closeValue(a *Assignment, start, end, tokens int) bool {
	a.Value = string(r.lex.src[start:end])
	a.Literal = a.Literal && (tokens == 1 || a.Scope == ScopeNames)
	return tokens > 0
}

// roles reads the whole list of roles, commas included.
func (r *reader) roles(a *Assignment) bool {
	t := r.next()
	start, end := t.start, t.start
	for ; !r.ended(); t = r.next() {
		end = t.end
	}
	a.Value, a.Literal = string(r.lex.src[start:end]), true
	return end > start
}

// name returns a name without its quotes.
func (r *reader) name(t token) string {
	if t.kind == tokenWord {
		return string(r.text(t))
	}
	return string(unquote(r.text(t), r.lex.noBackslash))
}

// userName returns the name of a user variable without @ and quotes.
func (r *reader) userName(t token) string {
	name := r.text(t)[1:]
	if len(name) > 0 && bytes.IndexByte([]byte("'\"`"), name[0]) >= 0 {
		name = unquote(name, r.lex.noBackslash)
	}
	return strings.ToLower(string(name))
}
