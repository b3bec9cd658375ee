package wire

import (
	"fmt"
	"strings"
	"testing"
)

// entry encodes one state change; its body is given encoded.
func entry(k TrackKind, body ...byte) []byte {
	return AppendLenEncBytes([]byte{byte(k)}, body)
}

func text(s string) []byte { return AppendLenEncBytes(nil, []byte(s)) }

func readAll(track []byte) (string, error) {
	var out []string
	r := NewTrackReader(track)
	for {
		e, ok := r.Next()
		if !ok {
			return strings.Join(out, " "), r.Err()
		}
		out = append(out, fmt.Sprintf("%d:%s=%s", e.Kind, e.Name, e.Value))
	}
}

func TestTrackReader(t *testing.T) {
	join := func(parts ...[]byte) (b []byte) {
		for _, p := range parts {
			b = append(b, p...)
		}
		return b
	}
	pair := join(text("sql_mode"), text("ANSI"))
	for _, c := range []struct {
		name, want string
		track      []byte
		bad        bool
	}{
		{"nothing", "", nil, false},
		{"variable", "0:sql_mode=ANSI", entry(TrackVariable, pair...), false},
		{"two variables in one entry", "0:sql_mode=ANSI 0:a=", entry(TrackVariable, join(pair, text("a"), text(""))...), false},
		{"empty variable list", "1:=app", join(entry(TrackVariable), entry(TrackSchema, text("app")...)), false},
		{"schema", "1:=app", entry(TrackSchema, text("app")...), false},
		{"state", "2:=1", entry(TrackState, '1'), false},
		{"gtid", "3:=u:1-5", entry(TrackGTID, append([]byte{0}, text("u:1-5")...)...), false},
		{"transaction", "4:=SET x; 5:=T_______", join(entry(TrackTxnChars, text("SET x;")...), entry(TrackTxnState, text("T_______")...)), false},
		{"unknown kind", "9:=abc", entry(9, 'a', 'b', 'c'), false},
		{"entry too long", "", []byte{0, 50, 1}, true},
		{"name without value", "", entry(TrackVariable, text("a")...), true},
		{"schema too long", "", entry(TrackSchema, 9, 'a'), true},
		{"gtid without encoding", "", entry(TrackGTID), true},
		{"kind only", "", []byte{1}, true},
	} {
		got, err := readAll(c.track)
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func FuzzTrackReader(f *testing.F) {
	f.Add(entry(TrackVariable, append(text("a"), text("b")...)...))
	f.Add(entry(TrackState, '1'))
	okPackets(f, func(_ []byte, o OK) { f.Add(o.Track) })
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewTrackReader(b)
		total := 0
		for e, ok := r.Next(); ok; e, ok = r.Next() {
			total += 1 + len(e.Name) + len(e.Value)
		}
		if total > len(b) {
			t.Fatalf("%d bytes out of %d", total, len(b))
		}
	})
}
