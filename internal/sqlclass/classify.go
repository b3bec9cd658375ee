package sqlclass

// Classify tells what the statements in sql may do. It never fails: what it cannot
// follow is [Unclear]. It does not keep sql.
func Classify(sql []byte, opt Options) Statement {
	return classify(sql, opt, 0)
}

// maxDepth bounds statements within string literals within statements.
const maxDepth = 3

func classify(sql []byte, opt Options, depth int) Statement {
	c := classifier{depth: depth}
	c.lex.init(sql, opt)
	c.run()
	if !c.lex.sawExec && !c.lex.sawDollar && !c.modeDoubt {
		return c.result
	}
	return c.otherReadings(sql, opt)
}

// otherReadings reads the text again in the ways another server or version, or an
// sql_mode set halfway, would, and returns the union.
func (c *classifier) otherReadings(sql []byte, opt Options) Statement {
	s := c.result
	read := func(skipExec, noDollar, flip bool) {
		other := classifier{depth: c.depth, flipMode: flip}
		other.lex.init(sql, opt)
		other.lex.skipExec, other.lex.noDollar = skipExec, noDollar
		other.run()
		s.add(other.result, other.lex.broken)
	}
	if c.lex.sawExec {
		read(true, false, false)
	}
	if c.lex.sawDollar {
		read(false, true, false)
	}
	if c.modeDoubt {
		read(false, false, true)
	}
	return s
}

// add widens s by another reading of the same text. That a reading ends within
// quotes only tells that it is not the server's.
func (s *Statement) add(o Statement, broken bool) {
	if broken {
		o.Effects &^= Unclear
	}
	s.Effects |= o.Effects
	s.Open = s.Open && (o.Open || !o.Effects.Has(Unclear))
	if o.Verb == Empty && o.Count == 0 {
		return // nothing is left without the executable comment
	}
	s.ReadOnly = s.ReadOnly && o.ReadOnly
	s.Count = max(s.Count, o.Count)
	if s.Txn == TxnNone {
		s.Txn = o.Txn
	}
}

// mark is what is remembered of a token that has passed.
type mark struct {
	kind tokenKind
	word word
}

// classifier reads one text, statement by statement. All fields are owned by the
// one call.
type classifier struct {
	lex      lexer
	result   Statement
	depth    int  // of nesting in string literals
	flipMode bool // read backslashes the other way once sql_mode is assigned

	modeSet   bool // sql_mode has been assigned by an earlier statement
	modeDoubt bool // and then there was a backslash

	// The statement being read.
	verb      Verb
	txn       Txn
	effects   Effect
	writes    bool  // not read-only for a reason no effect tells
	done      bool  // its end has been seen
	eof       bool  // and that is the end of the text
	last      token // the last token
	before    mark  // the one before it
	parens    int   // open parentheses
	nested    int   // SET STATEMENTs within each other
	target    bool  // the name to come is not a function: INTO t (...)
	lastIDArg bool  // the last tokens were LAST_INSERT_ID (
}

func (l *lexer) init(sql []byte, opt Options) {
	l.src, l.noBackslash, l.multibyte = sql, opt.NoBackslashEscapes, opt.Multibyte
}

// run reads all statements into c.result.
func (c *classifier) run() {
	first := true
	for !c.eof {
		c.start()
		t := c.next()
		if c.done {
			continue
		}
		c.head(t)
		c.rest()
		c.finish(first)
		first = false
	}
	if c.lex.broken {
		c.result.Open = !c.result.Effects.Has(Unclear)
		c.result.Effects |= Unclear
		c.result.ReadOnly = false
	}
	if c.result.Count > 1 {
		c.result.Effects |= Multi
	}
}

// start clears what belongs to one statement.
func (c *classifier) start() {
	c.verb, c.txn, c.effects = Empty, TxnNone, 0
	c.writes, c.done, c.target, c.lastIDArg = false, false, false, false
	c.parens, c.nested = 0, 0
	c.last, c.before = token{kind: tokenSemi}, mark{kind: tokenSemi}
	if c.modeSet && c.flipMode {
		c.lex.noBackslash = !c.lex.noBackslash
		c.flipMode = false
	}
	if c.modeSet {
		c.lex.sawEscape = false
	}
}

// finish adds the statement to the result.
func (c *classifier) finish(first bool) {
	if c.modeSet && c.lex.sawEscape {
		c.modeDoubt = true
	}
	readOnly := c.verb.reads() && !c.writes && c.effects&^harmless == 0
	r := &c.result
	if first {
		r.Verb, r.ReadOnly = c.verb, readOnly
	}
	r.ReadOnly = r.ReadOnly && readOnly
	r.Effects |= c.effects
	r.Count++
	if c.txn != TxnNone {
		r.Txn = c.txn
	}
}

// next returns the next token of the statement, after noting what it means. At the
// end of the statement it returns the same token again and again.
func (c *classifier) next() token {
	if c.done {
		return c.last
	}
	t := c.lex.next()
	c.note(t)
	c.before = mark{c.last.kind, c.last.entry.word()}
	c.last = t
	return t
}

// rest reads to the end of the statement.
func (c *classifier) rest() {
	for !c.done {
		c.next()
	}
}

// note sets the effects that do not depend on the place in a statement.
func (c *classifier) note(t token) {
	if c.lastIDArg {
		c.lastIDArg = false
		if !t.is(')') {
			c.effects |= LastInsertIDSet
		}
	}
	switch t.kind {
	case tokenWord:
		if t.entry.word() != wordNone {
			c.noteWord(t.entry.word())
		} else if c.target {
			c.target = !c.last.isName()
		}
	case tokenUserVar:
		c.noteUserVar()
	case tokenAssign:
		if c.last.kind == tokenUserVar {
			c.effects |= UserVariable
		}
	case tokenEnd:
		c.done, c.eof = true, true
	case tokenSemi:
		c.done = true
	case tokenBacktick:
		c.target = c.target && !c.last.isName()
	case tokenString, tokenNumber, tokenSysVar:
	default:
		c.noteOp(byte(t.kind))
	}
}

func (c *classifier) noteOp(op byte) {
	switch op {
	case '(':
		c.parens++
		c.noteCall()
		c.target = false
	case ')':
		c.parens--
		c.target = false
	case '.':
	default:
		c.target = false
	}
}

func (c *classifier) noteUserVar() {
	switch {
	case c.last.entry.word() == wordInto:
		c.effects |= UserVariable
	case c.last.kind == tokenWord && c.last.entry == 0 && c.lex.src[c.last.end] == '@': // user@host
	case c.verb == Call, c.verb == LoadData, c.verb == Execute, c.verb == Diagnostics:
		c.effects |= UserVariable
	}
}

// noteCall notes a call of the function whose name was the last token, if it was
// a name.
func (c *classifier) noteCall() {
	e := c.last.entry
	switch c.last.kind {
	case tokenWord, tokenNumber:
	case tokenBacktick, tokenString:
		// A native function may be called by its quoted name.
		e = lookupName(c.lex.src[c.last.start+1 : c.last.end-1])
	default:
		return
	}
	if c.target {
		return
	}
	if e&builtin == 0 || c.before.kind == tokenOp|'.' {
		c.noteUnknownCall()
	}
	switch e.word() {
	case wordNamedLock:
		c.effects |= NamedLock
	case wordNamedLockRelease:
		c.effects |= NamedLockRelease
	case wordNamedLockReleaseAll:
		c.effects |= NamedLockReleaseAll
	case wordNextval:
		c.effects |= SequenceNext
	case wordLastInsertID:
		c.lastIDArg = true
	default:
	}
}

// noteUnknownCall notes a stored function where one may be called.
func (c *classifier) noteUnknownCall() {
	switch c.verb {
	case DDL, Account, Admin, Lock, Flush, Handler, Prepare, Call:
	default:
		c.effects |= UnknownFunction
	}
}
