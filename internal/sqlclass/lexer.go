package sqlclass

import "bytes"

type tokenKind uint16

const (
	tokenEnd      tokenKind = iota // end of the text
	tokenSemi                      // ;
	tokenWord                      // keyword or plain identifier
	tokenBacktick                  // `quoted`
	tokenString                    // 'text' or "text" (the latter is a name under ANSI_QUOTES)
	tokenNumber
	tokenUserVar                   // @name
	tokenSysVar                    // @@ alone; the name follows as words
	tokenAssign                    // :=
	tokenOp      tokenKind = 0x100 // any other single byte c: tokenOp | c
)

// token is one lexical unit: src[start:end]. It has no more than four plain fields,
// so that the compiler keeps it in registers: twice the speed.
type token struct {
	kind  tokenKind
	entry entry // what is known of a tokenWord
	start int
	end   int
}

func (t token) is(op byte) bool { return t.kind == tokenOp|tokenKind(op) }

// isOp reports whether the token is a single byte without a kind of its own.
func (t token) isOp() bool { return t.kind >= tokenOp }

// isName reports whether the token names something of the application's.
func (t token) isName() bool {
	return t.kind == tokenWord && t.entry.word() == wordNone ||
		t.kind == tokenBacktick || t.kind == tokenString || t.kind == tokenNumber
}

// lexer cuts a text into tokens. Comments and blanks are skipped; the content of
// executable comments is code, unless skipExec is set.
type lexer struct {
	src         []byte
	pos         int
	noBackslash bool
	skipExec    bool
	noDollar    bool // $ only makes names
	multibyte   Multibyte

	inExec    bool // inside an executable comment
	sawExec   bool // there was an executable comment
	sawSome   bool // and one that only some servers run
	sawEscape bool // there was a backslash within quotes
	sawDollar bool // there were dollar quotes
	unclosed  int  // how many dollar quotes had no end
	broken    bool // the text ended within quotes or a comment, or has too many unclosed
}

// maxUnclosed is how often the whole text is searched for the end of dollar quotes in vain.
const maxUnclosed = 16

const (
	classWord  = 1 << iota // part of an identifier
	classSpace             // blank
	classDigit
)

var byteClass = func() (t [256]uint8) {
	for c := range t {
		switch b := byte(c); {
		case b >= '0' && b <= '9':
			t[c] = classWord | classDigit
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '_', b == '$', b >= 0x80:
			t[c] = classWord
		case b == ' ', b >= '\t' && b <= '\r':
			t[c] = classSpace
		}
	}
	return t
}()

// next returns the next token. At the end it returns tokenEnd for ever.
func (l *lexer) next() token {
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		class := byteClass[c]
		switch {
		case class&classDigit != 0:
			return l.number()
		case class&classWord != 0:
			return l.word()
		case class&classSpace != 0:
			l.pos++
			continue
		}
		switch c {
		case '\'', '"':
			return l.quoted(tokenString, l.pos)
		case '`':
			return l.quoted(tokenBacktick, l.pos)
		case '@':
			return l.variable()
		case ':':
			if l.peek(1) == '=' {
				return l.take(tokenAssign, 2)
			}
		case ';':
			return l.take(tokenSemi, 1)
		default:
			if l.comment(c) {
				continue
			}
		}
		return l.take(tokenOp|tokenKind(c), 1)
	}
	if l.inExec {
		l.broken = true
	}
	return token{kind: tokenEnd, start: len(l.src), end: len(l.src)}
}

// peek returns the byte n places ahead, 0 beyond the end.
func (l *lexer) peek(n int) byte {
	if l.pos+n < len(l.src) {
		return l.src[l.pos+n]
	}
	return 0
}

func (l *lexer) take(kind tokenKind, n int) token {
	t := token{kind: kind, start: l.pos, end: l.pos + n}
	l.pos += n
	return t
}

// word reads an identifier or keyword and looks it up.
func (l *lexer) word() token {
	start, src := l.pos, l.src
	if src[start] == '$' && !l.noDollar {
		if end := l.endOfDollarQuotes(); end > 0 {
			l.sawDollar = true
			return l.take(tokenString, end-start)
		}
	}
	i, hash := start, uint32(0)
	for i < len(src) && byteClass[src[i]]&classWord != 0 {
		if src[i] >= 0x80 && l.multibyte != ASCIISafe && l.leads(src[i]) {
			hash, i = hashByte(hash, src[i]), i+1
			if i == len(src) {
				break
			}
		}
		hash, i = hashByte(hash, src[i]), i+1
	}
	l.pos = i
	return token{kind: tokenWord, entry: lookup(src[start:i], hash), start: start, end: i}
}

// leads reports whether c is the first byte of a two-byte character.
func (l *lexer) leads(c byte) bool {
	switch l.multibyte {
	case DoubleByte:
		return c >= 0x81 && c <= 0xFE
	case ShiftJIS:
		return c >= 0x81 && c <= 0x9F || c >= 0xE0 && c <= 0xFC
	case ASCIISafe:
	}
	return false
}

// number reads 1, 1.5, 1e-3, 0x1F; and 1abc, which is an identifier and gets the
// kind of one.
func (l *lexer) number() token {
	start, src := l.pos, l.src
	i := start
	for i < len(src) && byteClass[src[i]]&classDigit != 0 {
		i++
	}
	if i < len(src) && src[i] == '.' {
		i++
		for i < len(src) && byteClass[src[i]]&classDigit != 0 {
			i++
		}
	}
	if i < len(src) && byteClass[src[i]]&classWord != 0 {
		i = l.numberTail(i)
	}
	l.pos = i
	return token{kind: tokenNumber, start: start, end: i}
}

// numberTail reads an exponent, hexadecimal digits or the rest of an identifier.
func (l *lexer) numberTail(i int) int {
	src := l.src
	if src[i]|0x20 == 'e' && i+2 < len(src) && (src[i+1] == '-' || src[i+1] == '+') &&
		byteClass[src[i+2]]&classDigit != 0 {
		i += 2
	}
	for i < len(src) && byteClass[src[i]]&classWord != 0 {
		i++
	}
	return i
}

// quoted reads from the quote at l.pos to its end; the token begins at start.
func (l *lexer) quoted(kind tokenKind, start int) token {
	quote := l.src[l.pos]
	escapes := quote != '`' && !l.noBackslash
	if l.multibyte == ASCIISafe {
		l.pos = l.endOfQuotes(l.pos+1, quote, escapes)
	} else {
		l.pos = l.endOfWideQuotes(l.pos+1, quote, escapes)
	}
	return token{kind: kind, start: start, end: l.pos}
}

// endOfQuotes returns the place behind the closing quote. A doubled quote goes on.
func (l *lexer) endOfQuotes(i int, quote byte, escapes bool) int {
	src := l.src
	// The next quote and the next backslash, looked for only when i has passed
	// them: the whole stays linear.
	end, backslash := -1, -1
	for {
		if end < i {
			end = len(src)
			if n := bytes.IndexByte(src[i:], quote); n >= 0 {
				end = i + n
			}
		}
		if quote != '`' && backslash < i {
			backslash = end
			if b := bytes.IndexByte(src[i:end], '\\'); b >= 0 {
				backslash, l.sawEscape = i+b, true
			}
		}
		switch {
		case escapes && backslash < end:
			i = min(backslash+2, len(src))
		case end == len(src):
			l.broken = true
			return len(src)
		case end+1 < len(src) && src[end+1] == quote:
			i = end + 2
		default:
			return end + 1
		}
	}
}

// endOfWideQuotes is endOfQuotes for character sets with unsafe trailing bytes.
func (l *lexer) endOfWideQuotes(i int, quote byte, escapes bool) int {
	src := l.src
	for i < len(src) {
		c := src[i]
		switch {
		case c >= 0x80 && l.leads(c):
			i++
		case c == '\\' && quote != '`':
			l.sawEscape = true
			if escapes {
				i++
			}
		case c == quote:
			if i+1 == len(src) || src[i+1] != quote {
				return i + 1
			}
			i++
		}
		i++
	}
	l.broken = true
	return len(src)
}

// variable reads @name, @'name' or the @@ of a system variable.
func (l *lexer) variable() token {
	start := l.pos
	switch c := l.peek(1); c {
	case '@':
		return l.take(tokenSysVar, 2)
	case '\'', '"', '`':
		l.pos++
		return l.quoted(tokenUserVar, start)
	}
	i := start + 1
	for i < len(l.src) && (byteClass[l.src[i]]&classWord != 0 || l.src[i] == '.') {
		i++
	}
	l.pos = i
	return token{kind: tokenUserVar, start: start, end: i}
}

// endOfDollarQuotes finds the end of $$text$$ or $tag$text$tag$, in which MySQL 9 takes the bodies of routines in other
// languages; 0 when no such quotes begin here. Other servers, and MySQL where it wants no body, read a name.
func (l *lexer) endOfDollarQuotes() int {
	i := l.pos + 1
	for i < len(l.src) && l.src[i] != '$' && byteClass[l.src[i]]&classWord != 0 {
		i++
	}
	if i == len(l.src) || l.src[i] != '$' {
		return 0
	}
	tag := l.src[l.pos : i+1]
	if l.unclosed == maxUnclosed {
		l.broken = true
		return 0
	}
	n := bytes.Index(l.src[i+1:], tag)
	if n < 0 {
		l.unclosed++
		return 0
	}
	return i + 1 + n + len(tag)
}
