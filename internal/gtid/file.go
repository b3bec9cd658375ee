package gtid

import (
	"cmp"
	"strings"
)

// ParseFile reads "name:offset" as String prints a file position. Errors wrap ErrSyntax.
func ParseFile(text string) (Position, error) {
	text = strings.TrimSpace(text)
	i := strings.LastIndexByte(text, ':')
	if len(text) > 4096 || i <= 0 || strings.ContainsAny(text, "\r\n") {
		return Position{}, syntaxError("no file:offset", text)
	}
	pos, ok := parseUint(text[i+1:], 64)
	if !ok {
		return Position{}, syntaxError("no file:offset", text)
	}
	return FilePos(text[:i], pos), nil
}

// compareFile orders two places in one server's binary log; ok is false when the base names differ, because then
// they cannot be of the same log.
func compareFile(p, q Position) (order int, ok bool) {
	if p.file == q.file {
		return cmp.Compare(p.pos, q.pos), true
	}
	pb, pn, ok1 := splitLogName(p.file)
	qb, qn, ok2 := splitLogName(q.file)
	if !ok1 || !ok2 || pb != qb {
		return 0, false
	}
	if c := cmp.Compare(pn, qn); c != 0 {
		return c, true
	}
	return cmp.Compare(p.pos, q.pos), true
}

// splitLogName takes binlog.000012 apart. Past 999999 the number simply grows longer, so it is compared as number.
func splitLogName(name string) (base string, number uint64, ok bool) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return "", 0, false
	}
	number, ok = parseUint(name[i+1:], 64)
	return name[:i], number, ok
}
