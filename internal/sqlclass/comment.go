package sqlclass

import "bytes"

var (
	commentOpen  = []byte("/*")
	commentClose = []byte("*/")
)

// comment skips what begins with c if it is a comment, or the mark of an
// executable one, and says so.
func (l *lexer) comment(c byte) bool {
	switch c {
	case '#':
		l.line()
		return true
	case '-':
		// Two dashes need a blank or control character behind them.
		if l.peek(1) == '-' && l.peek(2) <= ' ' {
			l.line()
			return true
		}
	case '/':
		if l.peek(1) == '*' {
			l.block()
			return true
		}
	case '*':
		if l.inExec && l.peek(1) == '/' {
			l.inExec = false
			l.pos += 2
			return true
		}
	}
	return false
}

// line skips to behind the end of the line.
func (l *lexer) line() {
	n := bytes.IndexByte(l.src[l.pos:], '\n')
	if n < 0 {
		l.pos = len(l.src)
		return
	}
	l.pos += n + 1
}

// block skips a comment or enters an executable one: /*! or MariaDB's /*M!, with
// or without a version of five or six digits.
func (l *lexer) block() {
	mark := 2
	if l.peek(2) == 'M' && l.peek(3) == '!' {
		mark = 3
	}
	if l.peek(mark) != '!' {
		l.pos += 2
		l.closing(0)
		return
	}
	l.sawExec = true
	l.pos += mark + 1
	digits := 0
	for digits < 6 && byteClass[l.peek(digits)]&classDigit != 0 {
		digits++
	}
	version := l.src[l.pos : l.pos+digits]
	l.sawSome = l.sawSome || mark == 3 || digits == 6 || digits == 5 && string(version) > oldestVersion
	if l.skipExec {
		l.closing(1)
		return
	}
	l.inExec = true
	if digits >= 5 {
		l.pos += digits
	}
}

// oldestVersion is that of the oldest server: an executable comment for it is run by all. MariaDB skips 50700 to 99999.
const oldestVersion = "50600"

// Conditional reports whether sql has executable comments that some servers run and others skip, such as /*!50701 or
// MariaDB's /*M!: what is in them may not have happened.
func Conditional(sql []byte, opt Options) bool {
	if !bytes.Contains(sql, commentOpen) {
		return false
	}
	r := reader{}
	r.lex.init(sql, opt)
	for r.next().kind != tokenEnd {
	}
	return r.lex.sawSome
}

// closing skips to behind the end of a comment. A skipped executable comment may
// hold one level of plain comments.
func (l *lexer) closing(nested int) {
	for {
		n := bytes.Index(l.src[l.pos:], commentClose)
		if n < 0 {
			l.pos, l.broken = len(l.src), true
			return
		}
		if nested > 0 {
			if o := bytes.Index(l.src[l.pos:l.pos+n], commentOpen); o >= 0 {
				l.pos += o + 2
				l.closing(nested - 1)
				continue
			}
		}
		l.pos += n + 2
		return
	}
}
