package gtid

import (
	"encoding/json"
	"errors"
	"testing"
)

const (
	uuidA = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	uuidB = "4e11fa47-71ca-11e1-9e33-c80aa9429562"
)

func mysqlPos(t *testing.T, s string) Position {
	t.Helper()
	p, err := ParseMySQL(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mariaPos(t *testing.T, s string) Position {
	t.Helper()
	p, err := ParseMariaDB(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParseMySQL(t *testing.T) {
	for in, want := range map[string]string{
		"":                                       uuidNone,
		" \n":                                    uuidNone,
		uuidA + ":1":                             uuidA + ":1",
		uuidA + ":1-1":                           uuidA + ":1",
		uuidA + ":1-3:4":                         uuidA + ":1-4",
		uuidA + ":7:1-3":                         uuidA + ":1-3:7",
		uuidA + ":1-5:3-9":                       uuidA + ":1-9",
		uuidB + ":1,\n" + uuidA + ":1-2":         uuidA + ":1-2," + uuidB + ":1",
		"3E11FA47-71CA-11E1-9E33-C80AA9429562:1": uuidA + ":1",
		uuidA + ":1-3:Tag_1:1-5:other:7":         uuidA + ":1-3:other:7:tag_1:1-5",
		uuidA + ":tag:1":                         uuidA + ":tag:1",
		uuidA + ":1, " + uuidA + ":2":            uuidA + ":1-2",
		uuidA + ":1 - 3 : 5":                     uuidA + ":1-3:5",
		uuidA + ":1-9223372036854775807":         uuidA + ":1-9223372036854775807",
	} {
		if got := mysqlPos(t, in).String(); got != want {
			t.Errorf("ParseMySQL(%q) = %q, want %q", in, got, want)
		}
	}
	for _, in := range []string{"x", uuidA, uuidA + ":", uuidA + ":0", uuidA + ":3-1", uuidA + ":tag", uuidA + ":a:b:1",
		uuidA + ":1-", uuidA + ":+1", uuidA + ":1:tag", uuidA + ":99999999999999999999", uuidA[:35] + "g:1", "0-1-2"} {
		if _, err := ParseMySQL(in); !errors.Is(err, ErrSyntax) {
			t.Errorf("ParseMySQL(%q): error %v, want ErrSyntax", in, err)
		}
	}
}

const uuidNone = ""

func TestParseMariaDB(t *testing.T) {
	for in, want := range map[string]string{
		"":                                  "",
		"0-10-5":                            "0-10-5",
		"0-10-5, 1-10-7":                    "0-10-5,1-10-7",
		"0-20-9,0-10-3":                     "0-10-3,0-20-9",
		"0-10-3,0-10-8":                     "0-10-8",
		"0-10-3,\n0-20-4\n":                 "0-10-3,0-20-4",
		"4294967295-1-18446744073709551615": "4294967295-1-18446744073709551615",
	} {
		if got := mariaPos(t, in).String(); got != want {
			t.Errorf("ParseMariaDB(%q) = %q, want %q", in, got, want)
		}
	}
	for _, in := range []string{"x", "0-1", "0-1-", "0-1-2-3", "-1-2", "4294967296-1-1", "0-1-2;0-2-3", uuidA + ":1"} {
		if _, err := ParseMariaDB(in); !errors.Is(err, ErrSyntax) {
			t.Errorf("ParseMariaDB(%q): error %v, want ErrSyntax", in, err)
		}
	}
}

func TestRelate(t *testing.T) {
	tests := []struct {
		a, b string
		want Relation
	}{
		// What two real servers showed: equal by domain, different by server.
		{"0-10-3,0-20-9", "0-10-8,0-20-9", Behind},
		{"0-10-200", "0-20-199", Diverged},
		{"0-10-199", "0-20-199", Diverged},
		{"0-10-5", "0-10-5", Equal},
		{"0-10-5,0-20-7", "0-20-7, 0-10-5", Equal},
		{"0-10-5", "0-10-5,1-10-1", Behind},
		{"0-10-147,0-20-1148", "0-10-147", Ahead},
		{uuidA + ":1-3", uuidA + ":1-8", Behind},
		{uuidA + ":1-8," + uuidB + ":1", uuidA + ":1-9", Diverged},
		{uuidA + ":1-8", uuidA + ":1-8:tag:1", Behind},
		{uuidA + ":tag:1-2", uuidA + ":1-2", Diverged},
		{"log.000002:4", "log.000001:900", Ahead},
		{"log.999999:4", "log.1000000:4", Behind},
		{"log.000001:4", "log.000001:4", Equal},
		{"log.000001:4", "other.000001:4", RelationUnknown},
		{"", "0-1-1", RelationUnknown},
		{"0-1-1", uuidA + ":1", RelationUnknown},
	}
	mirror := map[Relation]Relation{Behind: Ahead, Ahead: Behind}
	for _, tt := range tests {
		a, err1 := Parse(tt.a)
		b, err2 := Parse(tt.b)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if got := Relate(a, b); got != tt.want {
			t.Errorf("Relate(%s, %s) = %s, want %s", a, b, got, tt.want)
		}
		want := tt.want
		if m, ok := mirror[want]; ok {
			want = m
		}
		if got := Relate(b, a); got != want {
			t.Errorf("Relate(%s, %s) = %s, want %s", b, a, got, want)
		}
	}
}

func TestEmptyIsKnown(t *testing.T) {
	empty, some := mysqlPos(t, ""), mysqlPos(t, uuidA+":1")
	if !empty.Known() || !empty.Empty() || (Position{}).Known() || (Position{}).Empty() {
		t.Error("an empty GTID set is known, the zero position is not")
	}
	if got := Relate(empty, some); got != Behind {
		t.Errorf("Relate(empty, some) = %s", got)
	}
	if Relate(Position{}, some) != RelationUnknown || (Position{}).Equal(Position{}) || some.Contains(Position{}) {
		t.Error("the unknown position compares to nothing")
	}
}

func TestMissing(t *testing.T) {
	for _, tt := range []struct {
		have, want string
		n          uint64
		ok         bool
	}{
		{uuidA + ":1-1021", uuidA + ":1-1026", 5, true},
		{uuidA + ":1-3:6-8", uuidA + ":2-7," + uuidB + ":1-10", 12, true},
		{uuidA + ":1-9", uuidA + ":1-8", 0, true},
		{"0-10-147", "0-10-147,0-20-1148", 1001, true},
		{"0-10-147,0-20-1148", "0-10-147", 0, true},
		{"0-10-200", "0-20-199", 0, false},
		{"log.000001:4", "log.000001:9", 0, false},
		{"log.000001:9", "log.000001:9", 0, true},
	} {
		have, err1 := Parse(tt.have)
		want, err2 := Parse(tt.want)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if n, ok := Missing(have, want); n != tt.n || ok != tt.ok {
			t.Errorf("Missing(%s, %s) = %d, %t, want %d, %t", have, want, n, ok, tt.n, tt.ok)
		}
	}
}

func TestMergeMariaDB(t *testing.T) {
	got := MergeMariaDB(mariaPos(t, "0-10-3,0-20-9"), mariaPos(t, "0-10-8,2-1-1"))
	if got.String() != "0-10-8,0-20-9,2-1-1" {
		t.Errorf("got %s", got)
	}
}

func TestJSON(t *testing.T) {
	for _, p := range []Position{{}, mysqlPos(t, uuidA+":1-5"), mariaPos(t, "0-10-3"), FilePos("b.000001", 77)} {
		text, err := json.Marshal(map[string]Position{"p": p})
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]Position
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if q := back["p"]; q.Kind() != p.Kind() || q.String() != p.String() {
			t.Errorf("%s became %v", text, q)
		}
	}
}

func TestFile(t *testing.T) {
	name, offset, ok := FilePos("b.000001", 77).File()
	if name != "b.000001" || offset != 77 || !ok {
		t.Error(name, offset, ok)
	}
	if FilePos("", 4).Known() {
		t.Error("a position without a file is unknown")
	}
	for _, in := range []string{"", ":4", "b.000001", "b.000001:x", "b\n:1"} {
		if _, err := ParseFile(in); !errors.Is(err, ErrSyntax) {
			t.Errorf("ParseFile(%q): %v", in, err)
		}
	}
}

// Two servers that have written at once without gtid_strict_mode use the same sequence numbers.
func TestMissingLoosely(t *testing.T) {
	for _, tt := range []struct {
		have, want    string
		strict, loose uint64
	}{
		{"0-10-147", "0-10-147,0-20-1148", 1001, 1001},
		{"0-10-200", "0-10-200,0-20-199", 0, 1},
		{"0-10-200,0-20-150", "0-10-200,0-20-199,0-30-7,1-30-9", 9, 11},
		{"0-10-200", "0-20-199", 0, 1},
		{"0-10-200,0-20-199", "0-10-200", 0, 0},
		{uuidA + ":1-1021", uuidA + ":1-1026", 5, 5},
	} {
		have, err1 := Parse(tt.have)
		want, err2 := Parse(tt.want)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if n, _ := Missing(have, want); n != tt.strict {
			t.Errorf("Missing(%s, %s) = %d, want %d", have, want, n, tt.strict)
		}
		if n, ok := MissingLoosely(have, want); n != tt.loose || !ok {
			t.Errorf("MissingLoosely(%s, %s) = %d, %t, want %d", have, want, n, ok, tt.loose)
		}
	}
}
