package sqlclass

import "bytes"

// textPrepared reads PREPARE, EXECUTE and DEALLOCATE PREPARE.
func (c *classifier) textPrepared(w word) {
	switch w {
	case wordPrepare:
		c.verb = Prepare
		c.effects |= TextPrepare
		for !c.done && c.last.entry.word() != wordFrom {
			c.next()
		}
		c.dynamic()
	case wordExecute:
		c.verb = Execute
		c.effects |= TextExecute | Opaque
		if c.next().entry.word() == wordImmediate {
			c.dynamic()
		}
	default:
		c.verb = Deallocate
		c.effects |= TextDeallocate
	}
}

// dynamic adds the effects of the text that follows, if it is one literal and
// nothing else; else it may be anything.
func (c *classifier) dynamic() {
	t := c.next()
	if t.kind != tokenString {
		c.effects |= Unclear
		return
	}
	after := c.next()
	if !c.done && after.entry.word() != wordUsing {
		c.effects |= Unclear
		return
	}
	if c.depth >= maxDepth {
		c.effects |= Unclear
		return
	}
	text := unquote(c.lex.src[t.start:t.end], c.lex.noBackslash)
	opt := Options{NoBackslashEscapes: c.lex.noBackslash, Multibyte: c.lex.multibyte}
	inner := classify(text, opt, c.depth+1)
	c.effects |= inner.Effects &^ (TextPrepare | TextDeallocate)
}

// unquote returns the content of a quoted token. It aliases quoted unless that
// has escapes or doubled quotes in it.
func unquote(quoted []byte, noBackslash bool) []byte {
	if len(quoted) < 2 {
		return nil
	}
	quote, text := quoted[0], quoted[1:len(quoted)-1]
	escapes := !noBackslash && quote != '`'
	if bytes.IndexByte(text, quote) < 0 && (!escapes || bytes.IndexByte(text, '\\') < 0) {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		b := text[i]
		switch {
		case b == quote:
			i++ // the second of a pair
		case b == '\\' && escapes && i+1 < len(text):
			i++
			b = unescape(text[i])
		}
		out = append(out, b)
	}
	return out
}

// unescape returns the byte a backslash sequence stands for.
func unescape(b byte) byte {
	switch b {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'b':
		return '\b'
	case '0':
		return 0
	case 'Z':
		return 26
	default:
		return b
	}
}
