package sqlclass

// MaxUserVariables is how many user variables of a text are told apart.
const MaxUserVariables = 128

// UserVariables returns the names of all user variables in sql, in lower case and
// without @ and quotes, each once and in the order of their first appearance:
// those that the text assigns are among them. The texts of PREPARE and EXECUTE
// IMMEDIATE are looked into. It is false when the text could not be followed to its
// end, or has more than [MaxUserVariables] of them.
func UserVariables(sql []byte, opt Options) (names []string, ok bool) {
	return userVariables(nil, sql, opt, 0)
}

func userVariables(names []string, sql []byte, opt Options, depth int) ([]string, bool) {
	if depth > maxDepth {
		return names, false
	}
	r := reader{}
	r.lex.init(sql, opt)
	begins, dynamic := true, false
	for {
		t := r.next()
		switch t.kind {
		case tokenEnd:
			return names, !r.lex.broken
		case tokenUserVar:
			if names = appendName(names, r.userName(t)); len(names) > MaxUserVariables {
				return names[:MaxUserVariables], false
			}
		case tokenString:
			if !dynamic {
				break
			}
			var ok bool
			inner := Options{NoBackslashEscapes: r.lex.noBackslash, Multibyte: r.lex.multibyte}
			if names, ok = userVariables(names, unquote(r.text(t), r.lex.noBackslash), inner, depth+1); !ok {
				return names, false
			}
		default:
			if w := t.entry.word(); begins && (w == wordPrepare || w == wordExecute) {
				dynamic = true
			}
		}
		begins = t.kind == tokenSemi
		dynamic = dynamic && !begins
	}
}

func appendName(names []string, name string) []string {
	for _, n := range names {
		if n == name {
			return names
		}
	}
	return append(names, name)
}

// ConstantUserVariables returns the assignments of a single SET statement that give
// user variables values which the text alone tells: numbers, TRUE, FALSE, NULL,
// hexadecimal literals and plain strings in single quotes. A variable that the text
// names more than once is left out.
func ConstantUserVariables(sql []byte, opt Options) (list []Assignment) {
	sets, ok := SessionSets(sql, opt)
	if !ok {
		return nil
	}
	count := map[string]int{}
	r := reader{}
	r.lex.init(sql, opt)
	for t := r.next(); t.kind != tokenEnd; t = r.next() {
		if t.kind == tokenUserVar {
			count[r.userName(t)]++
		}
	}
	for _, a := range sets {
		if a.Scope == ScopeUser && a.Literal && count[a.Name] == 1 && constant(a.Value) {
			list = append(list, a)
		}
	}
	return list
}

// constant reports whether source, one literal or word, means the same under every
// setting but the connection's collation.
func constant(source string) bool {
	switch c := source[0]; {
	case c == '\'':
		return plainString(source)
	case c >= '0' && c <= '9', c == '-', c == '+', c == '.':
		for i := range len(source) {
			if c := source[i]; byteClass[c]&classWord == 0 && c != '.' && c != '-' && c != '+' || c >= 0x80 {
				return false
			}
		}
		return true
	default:
		return equalFold([]byte(source), "null") || equalFold([]byte(source), "true") || equalFold([]byte(source), "false")
	}
}

// plainString reports whether a quoted string holds printable ASCII only, and nothing
// that an sql_mode could read in another way.
func plainString(source string) bool {
	for i := 1; i < len(source)-1; i++ {
		if c := source[i]; c < ' ' || c > '~' || c == '\'' || c == '\\' {
			return false
		}
	}
	return len(source) >= 2 && source[len(source)-1] == '\''
}
