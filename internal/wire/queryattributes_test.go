package wire

import (
	"bytes"
	"testing"
)

// attributed encodes a COM_QUERY body with one attribute of the given type and encoded value; nil is NULL.
func attributed(kind byte, value []byte, sql string) []byte {
	b := []byte{1, 1, 0, 1, kind, 0}
	if value == nil {
		b[2] = 1
	}
	b = append(b, text("name")...)
	return append(append(b, value...), sql...)
}

func TestSkipQueryAttributes(t *testing.T) {
	const sql = "SELECT 1"
	for _, c := range []struct {
		name string
		body []byte
	}{
		{"none", append([]byte{0, 1}, sql...)},
		{"null", attributed(0xFE, nil, sql)},
		{"null type", attributed(6, []byte{}, sql)},
		{"tiny", attributed(1, []byte{1}, sql)},
		{"short", attributed(2, []byte{1, 2}, sql)},
		{"long", attributed(3, []byte{1, 2, 3, 4}, sql)},
		{"double", attributed(5, make([]byte, 8), sql)},
		{"datetime", attributed(12, []byte{4, 1, 2, 3, 4}, sql)},
		{"empty datetime", attributed(12, []byte{0}, sql)},
		{"string", attributed(0xFE, text("value"), sql)},
	} {
		if got, ok := SkipQueryAttributes(c.body); !ok || string(got) != sql {
			t.Errorf("%s: %q, %v", c.name, got, ok)
		}
		for i := range len(c.body) - len(sql) {
			if _, ok := SkipQueryAttributes(c.body[:i]); ok {
				t.Errorf("%s: cut at %d is taken", c.name, i)
			}
		}
	}
	if _, ok := SkipQueryAttributes([]byte{0xFE, 0, 0, 0, 0, 0, 0, 0, 1, 1}); ok {
		t.Error("2^56 attributes are taken")
	}
}

func FuzzSkipQueryAttributes(f *testing.F) {
	f.Add(attributed(0xFE, text("v"), "SELECT 1"))
	f.Add([]byte{0, 1, 'x'})
	f.Fuzz(func(t *testing.T, b []byte) {
		if text, ok := SkipQueryAttributes(b); ok && !bytes.HasSuffix(b, text) {
			t.Fatalf("%q is no end of %q", text, b)
		}
	})
}
