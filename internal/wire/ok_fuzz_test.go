package wire

import (
	"bytes"
	"testing"
)

// FuzzOK reads an OK packet and takes session state out of it, as is done for every answer.
func FuzzOK(f *testing.F) {
	for _, s := range []string{ // from MariaDB 10.11 and MySQL 9.7
		"\x00\x00\x00\x02\x00\x00\x00", "\x00\x00\x00\x02@\x00\x00\x00\v\x01\x06\x05mysql\x02\x011",
		"\x00\x00\x00\x02@\x00\x00&Records: 0  Duplicates: 0  Warnings: 0\x00", "\xfe\x00\x00\x03@\x00\x00\x00\v\x05\t\bT_R___S_",
		"\x00\x00\x00\x02@\x00\x00\x00\x13\x00\x11\ttime_zone\x06+03:00", "\x00\xfc\xb8\v\x00\x02\x00\x00\x002Records: 3000  Deleted: 0  Skipped: 0  Warnings: 0",
		"\x00\x00\x00\x02@\x00\x00\x00_\x00\x1c\x14character_set_client\x06latin1\x00 \x18character_set_connection\x06latin1\x00\x1d\x15character_set_results\x06latin1",
	} {
		f.Add([]byte(s))
	}
	okPackets(f, func(payload []byte, _ OK) { f.Add(payload) })
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) >= MaxPayload {
			return
		}
		o, err := ParseOK(payload)
		if err != nil {
			return
		}
		for r, more := NewTrackReader(o.Track), true; more; {
			_, more = r.Next()
		}
		pkt := AppendPacket(nil, 1, payload)
		edited := func(what string, pkt []byte) {
			if PayloadLen(pkt) != len(pkt)-HeaderSize {
				t.Fatalf("%s: %x", what, pkt)
			}
			got, err := ParseOK(pkt[HeaderSize:])
			if err != nil || got.AffectedRows != o.AffectedRows || got.LastInsertID != o.LastInsertID || got.Warnings != o.Warnings || !bytes.Equal(got.Info, o.Info) {
				t.Fatalf("%s: %x: %+v, was %+v, %v", what, pkt, got, o, err)
			}
		}
		parse := func() (OK, []byte) {
			b := bytes.Clone(pkt)
			o, _ := ParseOK(b[HeaderSize:])
			return o, b
		}
		own, b := parse()
		edited("strip", own.Strip(b))
		if own, b = parse(); own.Track != nil {
			n := 0
			edited("keep", own.Keep(b, func(TrackEntry) bool { n++; return n%2 == 0 }))
		}
	})
}
