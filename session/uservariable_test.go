package session

import (
	"slices"
	"strings"
	"testing"

	"github.com/onewriter/onewriter/internal/wire"
)

// A session that has lost its server connection is pinned by the user variables that only the server knew.
func TestUserVariablesAfterLoss(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(r *rig)
		want string // what restores them; "" pins
	}{
		{"number", func(r *rig) { r.sql("SET @a=1", auto, stateChanged...) }, "SET @`a`=1"},
		{"several", func(r *rig) { r.sql("SET @a := -1.5, @`b c` = TRUE", auto, stateChanged...) }, "SET @`a`=-1.5,@`b c`=TRUE"},
		{"plain string", func(r *rig) { r.sql("SET @a='abc'", auto, stateChanged...) }, "SET @`a`='abc'"},
		{"string before another character set", func(r *rig) {
			r.sql("SET @a='abc'", auto, stateChanged...)
			r.sql("SET NAMES latin1", auto, setVar("character_set_connection", "latin1")...)
		}, ""},
		{"string with another character set", func(r *rig) {
			r.sql("SET @a='abc', NAMES latin1", auto, setVar("character_set_connection", "latin1")...)
		}, ""},
		{"null, of a type that is not known", func(r *rig) { r.sql("SET @a=NULL", auto, stateChanged...) }, ""},
		{"expression", func(r *rig) { r.sql("SET @a=1+1", auto, stateChanged...) }, ""},
		{"string that the mode decides", func(r *rig) { r.sql(`SET @a='a\'b'`, auto, stateChanged...) }, ""},
		{"select into, unreported", func(r *rig) { r.sql("SELECT 1 INTO @a", auto) }, ""},
		{"in a statement that fails", func(r *rig) { r.run(query("SELECT @a:=1, f FROM t"), refusal(1146)) }, ""},
		{"long string", func(r *rig) { r.sql("SET @a='"+strings.Repeat("x", maxConstant)+"'", auto, stateChanged...) }, ""},
		{"constant before a routine ran", func(r *rig) { r.sql("SET @a=1", auto); r.sql("CALL p()", auto) }, ""},
		{"constant before a function ran", func(r *rig) { r.sql("SET @a=1", auto); r.sql("SELECT app.f()", auto) }, ""},
		{"constant before a text is executed that names it", func(r *rig) {
			r.sql("PREPARE p FROM 'SELECT @a:=5'", auto, stateChanged...)
			r.sql("SET @a=1", auto)
			r.sql("EXECUTE p", auto)
		}, ""},
		{"prepared", func(r *rig) {
			id := r.prepare("SELECT 7 INTO @a", 1, 0, 0)
			r.run(statementCommand(wire.ComStmtExecute, id, 0, 1, 0, 0, 0), okay(auto))
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := trackedRig(t)
			c.do(r)
			r.wantPins(0)
			r.core.Detach()
			if c.want == "" {
				r.wantPins(PinUserVariable)
				return
			}
			r.wantPins(0)
			if got := r.attach(); !slices.Contains(got, c.want) {
				t.Errorf("rebuilt with %q, want %q", got, c.want)
			}
		})
	}
}

// column is a definition as servers send it.
func column(kind byte, flags uint16) []byte {
	b := []byte{3, 'd', 'e', 'f', 0, 0, 0, 1, 'x', 0, 0x0c, 63, 0, 1, 0, 0, 0, kind, byte(flags), byte(flags >> 8), 0, 0, 0}
	return b
}

// result is an answer of one row; "-" is NULL.
func result(columns [][]byte, row ...string) []byte {
	b := packet(1, byte(len(columns)))
	for i, c := range columns {
		b = append(b, packet(byte(2+i), c...)...)
	}
	var values []byte
	for _, v := range row {
		if v == "-" {
			values = append(values, 0xFB)
		} else {
			values = append(values, str(v)...)
		}
	}
	b = append(b, packet(byte(2+len(columns)), values...)...)
	return append(b, packet(byte(3+len(columns)), 0xFE, 0, 0, 2, 0, 0, 0)...)
}

func TestFetchKeepsTypes(t *testing.T) {
	number, text := column(typeLongLong, 0), column(253, 0)
	for _, c := range []struct {
		name  string
		kind  byte
		flags uint16
		row   []string // value, HEX, COLLATION
		want  string
	}{
		{"integer", typeLongLong, 0, []string{"-5", "0", "binary"}, "-5"},
		{"unsigned", typeLongLong, 32, []string{"5", "5", "binary"}, "CAST(5 AS UNSIGNED)"},
		{"decimal", typeDecimal, 0, []string{"1.50", "2", "binary"}, "1.50"},
		{"decimal without places", typeDecimal, 0, []string{"7", "7", "binary"}, "CAST(7 AS DECIMAL(65,0))"},
		{"double", typeDouble, 0, []string{"0.1", "0", "binary"}, "0.1e0"},
		{"small double", typeDouble, 0, []string{"2e-300", "0", "binary"}, "2e-300"},
		{"binary string", 252, 0, []string{"\x00", "00", "binary"}, "_binary X'00'"},
		{"string", 252, 0, []string{"?", "C3A4", "utf8mb4_bin"}, "_utf8mb4 X'C3A4' COLLATE utf8mb4_bin"},
		{"null", 252, 0, []string{"-", "-", "binary"}, "NULL"},
		{"null that was a number", typeLongLong, 0, []string{"-", "-", "binary"}, "0,@`a`=NULL"},
		{"null that was a string", 252, 0, []string{"-", "-", "latin1_bin"}, "_latin1 X'' COLLATE latin1_bin,@`a`=NULL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := trackedRig(t)
			r.sql("SELECT f() INTO @a", auto)
			b := packets(t, r.core.Fetch())
			if len(b) != 1 || !strings.Contains(string(b[0]), "SELECT LAST_INSERT_ID(),@`a`,HEX(@`a`),COLLATION(@`a`) LIMIT 1") {
				t.Fatalf("asked %q", b)
			}
			answer := result([][]byte{number, column(c.kind, c.flags), text, text}, append([]string{"9"}, c.row...)...)
			for i := range answer { // however it comes
				if n, done, err := r.core.Prelude(answer[:i]); err != nil || done {
					t.Fatal(n, done, err)
				} else if n > 0 {
					answer = answer[n:]
					break
				}
			}
			if _, done, err := r.core.Prelude(answer); err != nil || !done {
				t.Fatal(done, err)
			}
			r.core.Detach()
			r.wantPins(0)
			got := r.attach()
			if !slices.Contains(got, "SET @`a`="+c.want) || !slices.Contains(got, "SET last_insert_id=9") {
				t.Errorf("%q", got)
			}
		})
	}
}

// TestFetchFindsLocks: a routine leaves no trace of the locks that it takes, so the server is asked.
func TestFetchFindsLocks(t *testing.T) {
	for count, want := range map[string]Pin{"0": 0, "1": PinNamedLock, "12": PinNamedLock} {
		r := newRig(t, Config{Flavor: MariaDB, Client: clientCaps, Server: serverCaps, Schema: "app", ReleasesLocks: true})
		r.sql("SELECT 1", auto)
		if b := r.core.Fetch(); b != nil {
			t.Fatalf("asked %q", b)
		}
		r.sql("SELECT app.f(1)", auto)
		if b := packets(t, r.core.Fetch()); len(b) != 1 || !strings.Contains(string(b[0]), "SELECT LAST_INSERT_ID(),RELEASE_ALL_LOCKS() LIMIT 1") {
			t.Fatalf("asked %q", b)
		}
		number := column(typeLongLong, 0)
		if _, done, err := r.core.Prelude(result([][]byte{number, number}, "0", count)); err != nil || !done {
			t.Fatal(done, err)
		}
		r.core.Detach()
		r.wantPins(want)
		if want == 0 {
			r.attach()
			if b := r.core.Fetch(); b != nil {
				t.Errorf("asked again: %q", b)
			}
		}
	}
}

func TestFetchRefused(t *testing.T) {
	r := trackedRig(t)
	r.sql("SELECT LAST_INSERT_ID(5)", auto)
	if r.core.Fetch() == nil {
		t.Fatal("nothing asked")
	}
	if _, _, err := r.core.Prelude(refusal(1290)); err == nil {
		t.Fatal("no error")
	}
	r.core.Detach()
	r.wantPins(PinInsertID)
}

func TestFetchOfTooMuch(t *testing.T) {
	r := trackedRig(t)
	r.sql("SELECT f() INTO @a", auto)
	r.core.Fetch()
	huge := strings.Repeat("x", maxFetched)
	text := column(253, 0)
	if _, _, err := r.core.Prelude(result([][]byte{text, text, text, text}, "0", huge, "00", "binary")); err == nil {
		t.Fatal("no error")
	}
	r.core.Detach()
	r.wantPins(PinUserVariable)
}

// More variables than are told apart pin, in time that is in proportion to the length of the text.
func TestManyUserVariables(t *testing.T) {
	sql := "SET " + numbered("@a%d=1,", 80_000) + "@a=1"
	r := trackedRig(t)
	r.run(query(sql), refusal(1064))
	r.wantPins(PinUserVariable)

	r = trackedRig(t)
	id := r.prepare(sql, 1, 0, 0)
	r.wantPins(0)
	r.run(statementCommand(wire.ComStmtExecute, id, 0, 1, 0, 0, 0), okay(auto))
	r.wantPins(PinUserVariable)
}
