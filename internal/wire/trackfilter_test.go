package wire

import (
	"bytes"
	"strings"
	"testing"
)

func TestKeep(t *testing.T) {
	variable := func(pairs ...string) []byte {
		var body []byte
		for _, p := range pairs {
			body = append(body, text(p)...)
		}
		return AppendLenEncBytes([]byte{byte(TrackVariable)}, body)
	}
	schema := AppendLenEncBytes([]byte{byte(TrackSchema)}, text("app"))
	state := []byte{byte(TrackState), 1, '1'}
	gtid := AppendLenEncBytes([]byte{byte(TrackGTID)}, append([]byte{0}, text("0-1-7")...))
	long := strings.Repeat("v", 300)
	ok := func(info string, entries ...[]byte) []byte {
		payload := []byte{0, 1, 7, 0x02, 0x40, 0, 0}
		payload = append(payload, text(info)...)
		payload = AppendLenEncBytes(payload, bytes.Join(entries, nil))
		return AppendPacket(nil, 5, payload)
	}
	none := func(info string) []byte {
		payload := []byte{0, 1, 7, 0x02, 0x00, 0, 0}
		if info != "" {
			payload = append(payload, text(info)...)
		}
		return AppendPacket(nil, 5, payload)
	}
	keep := func(e TrackEntry) bool {
		return e.Kind == TrackSchema || e.Kind == TrackGTID || e.Kind == TrackVariable && string(e.Name) == "autocommit"
	}
	for _, c := range []struct {
		name     string
		in, want []byte
	}{
		{"nothing to remove", ok("", schema, gtid), ok("", schema, gtid)},
		{"state", ok("", schema, state), ok("", schema)},
		{"state first", ok("info", state, schema), ok("info", schema)},
		{"everything", ok("", state, variable("sql_mode", "")), none("")},
		{"everything but the info", ok("Rows matched: 1", state), none("Rows matched: 1")},
		{"a variable", ok("", variable("autocommit", "ON"), variable("sql_mode", "x"), gtid), ok("", variable("autocommit", "ON"), gtid)},
		{"of a list", ok("", variable("sql_mode", "x", "autocommit", "ON", "a", "b"), state), ok("", variable("autocommit", "ON"))},
		{"the length gets shorter", ok("", variable("sql_mode", long), variable("autocommit", "ON")), ok("", variable("autocommit", "ON"))},
		{"a long one stays", ok("", state, variable("autocommit", long), state), ok("", variable("autocommit", long))},
		{"a whole list", ok("", variable("a", long, "b", long), schema), ok("", schema)},
	} {
		t.Run(c.name, func(t *testing.T) {
			buf := append(bytes.Clone(c.in), "the next packet"...)
			pkt := buf[:len(c.in)]
			o, err := ParseOK(pkt[HeaderSize:])
			if err != nil {
				t.Fatal(err)
			}
			if got := o.Keep(pkt, keep); !bytes.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if string(buf[len(c.in):]) != "the next packet" {
				t.Error("wrote behind the packet")
			}
		})
	}
	bad := ok("", state, []byte{byte(TrackSchema), 5, 9})
	o, err := ParseOK(bad[HeaderSize:])
	if err != nil {
		t.Fatal(err)
	}
	if got := o.Keep(bytes.Clone(bad), keep); !bytes.Equal(got, bad) {
		t.Errorf("malformed changes became %q", got)
	}
}
