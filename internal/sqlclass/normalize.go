package sqlclass

import "bytes"

// MaxNormalized bounds what [Normalize] appends, in bytes.
const MaxNormalized = 1024

// Normalize appends the digest text of sql to dst: literals become ?, lists of
// literals "?, ...", repeated rows of literals "(?, ...), ...", comments go, words
// are in lower case and one blank stands between tokens. At most [MaxNormalized]
// bytes are appended; a longer text is cut. Names in backticks keep their case and
// quotes. The text is meant for statistics: it need not be a legal statement.
func Normalize(dst, sql []byte, opt Options) []byte {
	n := normalizer{out: dst, base: len(dst)}
	n.lex.init(sql, opt)
	for n.length() <= MaxNormalized {
		t := n.lex.next()
		if t.kind == tokenEnd {
			break
		}
		n.add(t)
		n.last = t
	}
	return n.out[:min(len(n.out), n.base+MaxNormalized)]
}

type normalizer struct {
	lex   lexer
	out   []byte
	base  int   // where the digest begins in out
	last  token // the token before
	unary int   // where a sign stands that belongs to the literal to come, plus 1
}

func (n *normalizer) length() int { return len(n.out) - n.base }

// add appends one token.
func (n *normalizer) add(t token) {
	text := n.lex.src[t.start:t.end]
	text = text[:min(len(text), MaxNormalized)]
	switch {
	case t.kind == tokenString, t.is('?'), t.kind == tokenNumber && isNumber(text):
		n.literal(t)
		return
	case t.is('-') || t.is('+'):
		n.sign(text)
		return
	case t.is(')'):
		n.space(t)
		n.out = append(n.out, ')')
		n.collapseRows()
	case t.kind == tokenWord, t.kind == tokenNumber:
		n.space(t)
		n.lower(text)
	default:
		n.space(t)
		n.out = append(n.out, text...)
	}
	n.unary = 0
}

// lower appends text with its ASCII letters in lower case.
func (n *normalizer) lower(text []byte) {
	for _, c := range text {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		n.out = append(n.out, c)
	}
}

// isNumber tells a number from a name like 1st.
func isNumber(text []byte) bool {
	if len(text) > 1 && text[0] == '0' && (text[1]|0x20 == 'x' || text[1]|0x20 == 'b') {
		return true
	}
	for i, c := range text {
		switch {
		case c >= '0' && c <= '9', c == '.':
		case i > 0 && (c|0x20 == 'e' || c == '+' || c == '-'):
		default:
			return false
		}
	}
	return true
}

// literal appends ?, with the sign and the introducer (x”, n”, _utf8”) before it
// taken back.
func (n *normalizer) literal(t token) {
	if n.introduced(t) {
		n.out = n.out[:len(n.out)-(n.last.end-n.last.start)]
		n.out = bytes.TrimSuffix(n.out, []byte(" "))
	} else if t.kind == tokenString && n.last.kind == tokenString && (n.ends("?") || n.ends("...")) {
		return // 'a' 'b' is one literal
	}
	if n.unary > 0 {
		n.out = n.out[:n.unary-1]
		n.unary = 0
	}
	switch {
	case n.ends("?, ...,"):
		n.out = n.out[:len(n.out)-1]
	case n.ends("?,"):
		n.out = append(n.out, " ..."...)
	default:
		n.space(t)
		n.out = append(n.out, '?')
	}
}

// introduced reports whether the word before t belongs to it.
func (n *normalizer) introduced(t token) bool {
	if t.kind != tokenString || n.last.kind != tokenWord || n.last.end != t.start {
		return false
	}
	return n.lex.src[n.last.start] == '_' || n.last.end-n.last.start == 1
}

// sign appends a plus or minus and remembers where, if no operand stands before.
func (n *normalizer) sign(text []byte) {
	at := len(n.out) + 1
	n.space(token{kind: tokenOp | tokenKind(text[0])})
	n.out = append(n.out, text...)
	n.unary = 0
	if !n.operandBefore() {
		n.unary = at
	}
}

// operandBefore reports whether a sign after the last token is an operator
// between two operands.
func (n *normalizer) operandBefore() bool {
	switch n.last.kind {
	case tokenNumber, tokenString, tokenBacktick, tokenUserVar:
		return true
	case tokenWord:
		return n.last.entry == 0
	default:
		return n.last.is(')') || n.last.is('?')
	}
}

// space appends the blank between the last token and t, if one belongs there.
func (n *normalizer) space(t token) {
	if n.length() == 0 || t.kind == tokenSemi || t.is(',') || t.is('.') || t.is(')') {
		return
	}
	switch c := n.out[len(n.out)-1]; {
	case c == '(' || c == '.' || c == ' ':
	case n.last.kind == tokenSysVar:
	case t.isOp() && n.last.isOp() && n.last.end == t.start && !t.is('('):
		// <=, ->>, ||
	default:
		n.out = append(n.out, ' ')
	}
}

func (n *normalizer) ends(s string) bool {
	return n.length() >= len(s) && string(n.out[len(n.out)-len(s):]) == s
}

// collapseRows replaces a row of literals after another one: "(?), (?)" becomes
// "(?), ...".
func (n *normalizer) collapseRows() {
	for _, row := range [...]string{"(?, ...)", "(?)"} {
		if !n.ends(row) {
			continue
		}
		switch cut := len(n.out) - len(row); {
		case n.ends(row + ", ..., " + row):
			n.out = n.out[:cut-len(", ")]
		case n.ends(row + ", " + row):
			n.out = append(n.out[:cut], "..."...)
		}
		return
	}
}
