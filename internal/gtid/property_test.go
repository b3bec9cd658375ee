package gtid

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// naive is a history as a plain set of transactions, the model the comparisons are checked against.
type naive map[[3]uint64]bool

// randomMySQL makes a set and its model.
func randomMySQL(r *rand.Rand) (string, naive) {
	set := naive{}
	var parts []string
	uuids := []string{uuidA, uuidB}
	for range r.IntN(5) {
		u, tag := r.IntN(2), r.IntN(2)
		first := 1 + r.Uint64N(12)
		last := first + r.Uint64N(6)
		for n := first; n <= last; n++ {
			set[[3]uint64{uint64(u), uint64(tag), n}] = true
		}
		parts = append(parts, uuids[u]+[]string{":", ":tag:"}[tag]+interval{first, last}.text())
	}
	return strings.Join(parts, ", "), set
}

func (iv interval) text() string {
	return mysqlText([]mysqlSet{{intervals: []interval{iv}}})[1:]
}

func (a naive) contains(b naive) bool {
	for k := range b {
		if !a[k] {
			return false
		}
	}
	return true
}

func (a naive) relate(b naive) Relation {
	ab, ba := a.contains(b), b.contains(a)
	switch {
	case ab && ba:
		return Equal
	case ab:
		return Ahead
	case ba:
		return Behind
	default:
		return Diverged
	}
}

func TestRelateMySQLAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		at, am := randomMySQL(r)
		bt, bm := randomMySQL(r)
		a, b := mysqlPos(t, at), mysqlPos(t, bt)
		if got, want := Relate(a, b), am.relate(bm); got != want {
			t.Fatalf("Relate(%q, %q) = %s, want %s", a, b, got, want)
		}
		missing := uint64(0)
		for k := range bm {
			if !am[k] {
				missing++
			}
		}
		if n, ok := Missing(a, b); !ok || n != missing {
			t.Fatalf("Missing(%q, %q) = %d, want %d", a, b, n, missing)
		}
		if a.Equal(b) != (Relate(a, b) == Equal) {
			t.Fatalf("%q and %q: Equal and Relate disagree", a, b)
		}
	}
}

// TestRelateMariaDBHistories plays histories: servers write in turns into one domain, and copies stop following at
// random points. Relate must tell exactly whether one is a prefix of the other.
func TestRelateMariaDBHistories(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		a := []mariaEntry{}
		write := func(h []mariaEntry, server uint32) []mariaEntry {
			seq := uint64(len(h) + 1)
			return append(h[:len(h):len(h)], mariaEntry{0, server, seq})
		}
		for range r.IntN(8) {
			a = write(a, 10+uint32(r.IntN(2))*10)
		}
		b := a[:r.IntN(len(a)+1)]
		want := Equal
		if len(b) < len(a) {
			want = Ahead
		}
		if extra := r.IntN(3); extra > 0 { // b goes its own way, written by a third server
			for range extra {
				b = write(b, 30)
			}
			want = Diverged
			if len(b)-extra == len(a) {
				want = Behind
			}
		}
		pa, pb := mariaPosition(append([]mariaEntry{}, a...)), mariaPosition(append([]mariaEntry{}, b...))
		if got := Relate(pa, pb); got != want {
			t.Fatalf("Relate(%s, %s) = %s, want %s\n%v\n%v", pa, pb, got, want, a, b)
		}
	}
}

// TestRelateLaws: antisymmetry, and transitivity of ancestry.
func TestRelateLaws(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	random := func() Position {
		var e []mariaEntry
		for range r.IntN(4) {
			e = append(e, mariaEntry{uint32(r.IntN(2)), uint32(r.IntN(3)), r.Uint64N(5)})
		}
		return mariaPosition(e)
	}
	for range 20000 {
		a, b, c := random(), random(), random()
		if a.Contains(b) && b.Contains(c) && !a.Contains(c) {
			t.Fatalf("%s contains %s contains %s", a, b, c)
		}
		if m := MergeMariaDB(a, b); !m.Contains(a) || !m.Contains(b) {
			t.Fatalf("merge of %s and %s is %s", a, b, m)
		}
		if (Relate(a, b) == Behind) != (Relate(b, a) == Ahead) {
			t.Fatalf("%s and %s", a, b)
		}
	}
}
