package gtid

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kind says which notation a Position uses. The string form is a metric label.
type Kind uint8

// The kinds of positions. Positions of different kinds cannot be compared.
const (
	KindUnknown Kind = iota // the zero Position
	KindMySQL               // MySQL GTID set: uuid[:tag]:interval...
	KindMariaDB             // MariaDB GTID state: domain-server-sequence,...
	KindFile                // binary log file and offset
)

var kindNames = [...]string{"unknown", "mysql", "mariadb", "file"}

// String gives the lower-case name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[KindUnknown]
}

// maxText bounds what is parsed. A server's GTID set is far smaller; only garbage is larger.
const maxText = 16 << 20

// ErrSyntax is wrapped by every error of the parsers.
var ErrSyntax = errors.New("malformed replication position")

// Position is a place in a replication history. The zero value is "unknown". Values are immutable and may be
// copied and shared; compare them with Equal or Relate. An empty GTID set ("no transaction yet") is known.
type Position struct {
	kind  Kind
	text  string // canonical
	sets  []mysqlSet
	maria []mariaEntry
	file  string
	pos   uint64
}

// Kind says which notation p uses; KindUnknown for the zero value.
func (p Position) Kind() Kind { return p.kind }

// Known reports whether p says anything at all. An empty set of a server without transactions is known.
func (p Position) Known() bool { return p.kind != KindUnknown }

// Empty reports whether p is known to contain no transaction.
func (p Position) Empty() bool { return p.Known() && p.text == "" }

// String gives the server's own notation on one line, entries sorted and intervals merged; "" when unknown.
func (p Position) String() string { return p.text }

// Equal reports whether both are known, of the same kind, and the same place.
func (p Position) Equal(q Position) bool {
	return p.Known() && p.kind == q.kind && p.text == q.text
}

// Contains reports whether everything q has is in p as well. It is false when either is unknown, when the kinds
// differ, and for file positions of logs with different base names.
func (p Position) Contains(q Position) bool {
	if !p.Known() || p.kind != q.kind {
		return false
	}
	switch p.kind {
	case KindMySQL:
		return mysqlContains(p.sets, q.sets)
	case KindMariaDB:
		return mariaContains(p.maria, q.maria)
	case KindFile:
		c, ok := compareFile(p, q)
		return ok && c >= 0
	case KindUnknown:
		return false
	default:
		return false
	}
}

// File gives the binary log's name and the offset in bytes of a file position; ok is false for other kinds.
func (p Position) File() (name string, offset uint64, ok bool) {
	return p.file, p.pos, p.kind == KindFile
}

// FilePos makes the position at offset pos (bytes) of the binary log called file. An empty name gives the
// unknown position, which is what a server without binary log has.
func FilePos(file string, pos uint64) Position {
	if file == "" {
		return Position{}
	}
	return Position{kind: KindFile, text: fmt.Sprintf("%s:%d", file, pos), file: file, pos: pos}
}

// MarshalText writes p as String does, so that JSON carries a string.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.text), nil }

// UnmarshalText reads any of the notations; see Parse.
func (p *Position) UnmarshalText(text []byte) error {
	q, err := Parse(string(text))
	if err != nil {
		return err
	}
	*p = q
	return nil
}

// Parse reads a position whose kind is not known beforehand, for example from a state file. The empty text gives
// the unknown position. The error wraps ErrSyntax.
func Parse(text string) (Position, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Position{}, nil
	}
	if p, err := ParseMySQL(text); err == nil && !p.Empty() {
		return p, nil
	}
	if p, err := ParseMariaDB(text); err == nil && !p.Empty() {
		return p, nil
	}
	return ParseFile(text)
}

// sortedUnique sorts s with order and merges neighbours that compare equal with merge.
func sortedUnique[T any](s []T, order func(a, b T) int, merge func(a, b T) T) []T {
	slices.SortFunc(s, order)
	out := s[:0]
	for _, v := range s {
		if n := len(out); n > 0 && order(out[n-1], v) == 0 {
			out[n-1] = merge(out[n-1], v)
			continue
		}
		out = append(out, v)
	}
	return out
}

func syntaxError(what, text string) error {
	if len(text) > 80 {
		text = text[:80] + "..."
	}
	return fmt.Errorf("%w: %s in %q", ErrSyntax, what, text)
}
