package sqlclass

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

// UsedSchema returns the schema that USE names, without quotes; it is false for everything else, texts of several
// statements included.
func UsedSchema(sql []byte, opt Options) (name string, ok bool) {
	r := reader{}
	r.lex.init(sql, opt)
	if r.next().entry.word() != wordUse {
		return "", false
	}
	n := r.next()
	if n.kind != tokenWord && n.kind != tokenBacktick && n.kind != tokenString || !r.nothingLeft() {
		return "", false
	}
	return r.name(n), true
}
