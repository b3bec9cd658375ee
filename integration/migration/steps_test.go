package migration

import (
	"fmt"
	"strings"
)

type kind uint8

const (
	kindQuery kind = iota
	kindInitDB
	kindPing
	kindReset
	kindOption // slot is the option
	kindChangeUser
	kindPrepare
	kindExecute
	kindClose
	kindStmtReset
	kindFetch
	kindLong
	kindLast // execute the statement prepared last (MariaDB)
	kindMove // the primary moves to the other server
	kindKill // the server connection is killed
)

var kindNames = []string{
	"query", "init_db", "ping", "reset_connection", "set_option", "change_user", "prepare", "execute", "close", "stmt_reset",
	"fetch", "long_data", "execute_last", "MOVE", "KILL",
}

// step is one thing that happens to a session. Any step may be left out of a sequence.
type step struct {
	kind   kind
	sql    string // text, schema, user or data
	slot   int    // which prepared statement; the option of kindOption
	count  int    // of rows to fetch; the seed of values
	types  bool   // parameter types are sent
	cursor bool
	// holds and frees name what the step may pin the session by, or lets go of for certain: "kind" or "kind:name". A name
	// can be held several times.
	holds, frees []string
}

func (s step) String() string {
	out := kindNames[s.kind]
	switch s.kind {
	case kindPrepare, kindExecute, kindClose, kindStmtReset, kindFetch, kindLong, kindOption:
		out += fmt.Sprintf(" #%d", s.slot)
	case kindQuery, kindInitDB, kindPing, kindReset, kindChangeUser, kindLast, kindMove, kindKill:
	}
	if s.sql != "" {
		out += fmt.Sprintf(" %q", s.sql)
	}
	if s.kind == kindExecute || s.kind == kindFetch {
		out += fmt.Sprintf(" n=%d types=%v cursor=%v", s.count, s.types, s.cursor)
	}
	if len(s.holds) > 0 {
		out += " holds " + strings.Join(s.holds, ",")
	}
	if len(s.frees) > 0 {
		out += " frees " + strings.Join(s.frees, ",")
	}
	return out
}

// held counts what may pin a session.
type held map[string]int

func (h held) apply(s step) {
	if s.kind == kindReset || s.kind == kindChangeUser {
		clear(h)
	}
	for _, name := range s.frees {
		if h[name]--; h[name] <= 0 {
			delete(h, name)
		}
	}
	for _, name := range s.holds {
		h[name]++
	}
}

// allows reports whether a pin of this kind can have its reason in what is held.
func (h held) allows(kind string) bool {
	for name := range h {
		if k, _, _ := strings.Cut(name, ":"); k == kind {
			return true
		}
	}
	return false
}

func query(format string, args ...any) step {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	return step{kind: kindQuery, sql: format}
}

func (s step) holding(names ...string) step { s.holds = append(s.holds, names...); return s }

func (s step) freeing(names ...string) step { s.frees = append(s.frees, names...); return s }
