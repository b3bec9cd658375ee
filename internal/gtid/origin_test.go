package gtid

import "testing"

func TestMySQLAlgebra(t *testing.T) {
	for _, c := range []struct{ p, q, minus, common, union string }{
		{uuidA + ":1-10", uuidA + ":3-5", uuidA + ":1-2:6-10", uuidA + ":3-5", uuidA + ":1-10"},
		{uuidA + ":1-10", uuidA + ":1-10", "", uuidA + ":1-10", uuidA + ":1-10"},
		{uuidA + ":1-10," + uuidB + ":1-4", uuidB + ":4-9", uuidA + ":1-10," + uuidB + ":1-3", uuidB + ":4", uuidA + ":1-10," + uuidB + ":1-9"},
		{uuidA + ":1-3:8-9", uuidA + ":3-8", uuidA + ":1-2:9", uuidA + ":3:8", uuidA + ":1-9"},
		{"", uuidA + ":1", "", "", uuidA + ":1"},
		{uuidA + ":1:x:5-6", uuidA + ":x:6", uuidA + ":1:x:5", uuidA + ":x:6", uuidA + ":1:x:5-6"},
	} {
		p, q := parsed(t, ParseMySQL, c.p), parsed(t, ParseMySQL, c.q)
		for what, pair := range map[string][2]string{
			"minus": {Minus(p, q).String(), c.minus}, "common": {Common(p, q).String(), c.common}, "union": {Union(p, q).String(), c.union},
		} {
			if want := parsed(t, ParseMySQL, pair[1]).String(); pair[0] != want {
				t.Errorf("%s of %q and %q is %q, want %q", what, c.p, c.q, pair[0], want)
			}
		}
		if p.String() != parsed(t, ParseMySQL, c.p).String() {
			t.Errorf("the operand %q was changed to %q", c.p, p)
		}
	}
}

func TestMariaDBAlgebra(t *testing.T) {
	p, q := parsed(t, ParseMariaDB, "0-10-9,0-20-12,1-10-3"), parsed(t, ParseMariaDB, "0-10-7,0-20-20,2-20-1")
	for what, pair := range map[string][2]string{
		"common":    {Common(p, q).String(), "0-10-7,0-20-12"},
		"union":     {Union(p, q).String(), "0-10-9,0-20-20,1-10-3,2-20-1"},
		"of server": {p.OfServer(10).String(), "0-10-9,1-10-3"},
		"newest":    {parsed(t, ParseMariaDB, "0-10-12,0-20-9,1-20-3").Newest().String(), "0-10-12,1-20-3"},
		"state":     {parsed(t, ParseMariaDB, "0-10-12,0-20-9,1-20-3").StateText(), "0-20-9,0-10-12,1-20-3"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", what, pair[0], pair[1])
		}
	}
}

func TestAlgebraOfDifferentKindsIsUnknown(t *testing.T) {
	my, maria, file := parsed(t, ParseMySQL, uuidA+":1"), parsed(t, ParseMariaDB, "0-1-1"), FilePos("binlog.000001", 4)
	for what, got := range map[string]Position{
		"union": Union(my, maria), "common": Common(maria, my), "minus": Minus(maria, maria), "of server": my.OfServer(1),
		"of source": maria.OfSource(uuidA), "newest": my.Newest(), "union of files": Union(file, file), "common of files": Common(file, file),
	} {
		if got.Known() {
			t.Errorf("%s is %q", what, got)
		}
	}
	if got := parsed(t, ParseMySQL, uuidA+":1-3,"+uuidB+":7").OfSource(uuidB); got.String() != uuidB+":7" {
		t.Errorf("of source: %q", got)
	}
}

func parsed(t *testing.T, parse func(string) (Position, error), text string) Position {
	t.Helper()
	p, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLostOf(t *testing.T) {
	for _, c := range []struct{ was, is, lost string }{
		{"0-10-9", "0-10-9,0-20-12", ""},
		{"0-10-3,0-20-9", "0-10-8,0-20-9", "0-10-8"}, // restored from an older copy, then fed by the primary
		{"0-10-8", "0-10-9,0-20-12", "0-10-9"},       // a crash took its last transaction
		{"0-20-12", "0-10-9,0-20-30", ""},            // restored from a backup of the primary
		{"0-20-8", "0-10-9,0-20-30", "0-10-9"},       // from one that is too old
		{"", "0-10-9", "0-10-9"},
		{"0-10-9,1-20-4", "0-10-9,1-10-5", "1-10-5"},
		{"0-10-12", "0-10-9", ""},
	} {
		got := parsed(t, ParseMariaDB, c.was).LostOf(10, parsed(t, ParseMariaDB, c.is))
		if got.String() != c.lost {
			t.Errorf("%q against %q lost %q, want %q", c.was, c.is, got, c.lost)
		}
	}
}
