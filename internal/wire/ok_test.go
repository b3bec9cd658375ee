package wire

import (
	"bytes"
	"testing"
)

// okPacket is an OK with session state, as servers send it under SESSION_TRACK.
func okPacket(head byte, s Status, info string, track []byte) []byte {
	p := []byte{head, 0xFC, 0, 1, 5, byte(s), byte(s >> 8), 3, 0} // 256 rows, id 5, 3 warnings
	if info != "" || s.Has(StatusSessionStateChanged) {
		p = AppendLenEncBytes(p, []byte(info))
	}
	if s.Has(StatusSessionStateChanged) {
		p = AppendLenEncBytes(p, track)
	}
	return AppendPacket(nil, 9, p)
}

func TestStripOK(t *testing.T) {
	schema := []byte{1, 4, 3, 'a', 'p', 'p'}
	for _, head := range []byte{HeaderOK, HeaderEOF} {
		for _, info := range []string{"", "Rows matched: 1", string(bytes.Repeat([]byte{'i'}, 300))} {
			for _, track := range [][]byte{nil, schema, bytes.Repeat(schema, 100)} {
				pkt := okPacket(head, StatusAutocommit|StatusSessionStateChanged, info, track)
				want := okPacket(head, StatusAutocommit, info, nil)
				o, err := ParseOK(pkt[HeaderSize:])
				if err != nil {
					t.Fatal(err)
				}
				if o.AffectedRows != 256 || o.LastInsertID != 5 || o.Warnings != 3 || string(o.Info) != info || !bytes.Equal(o.Track, track) {
					t.Fatalf("parsed %+v", o)
				}
				if got := o.Strip(pkt); !bytes.Equal(got, want) {
					t.Errorf("info %q, %d bytes of state:\n got %x\nwant %x", info, len(track), got, want)
				}
			}
		}
	}
}

func TestStripLeavesPlainOK(t *testing.T) {
	pkt := okPacket(HeaderOK, StatusAutocommit, "info", nil)
	want := bytes.Clone(pkt)
	o, err := ParseOK(pkt[HeaderSize:])
	if err != nil {
		t.Fatal(err)
	}
	if got := o.Strip(pkt); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func FuzzParseOK(f *testing.F) {
	f.Add(okPacket(0, StatusSessionStateChanged, "i", []byte{2, 1, '1'})[HeaderSize:])
	f.Add(okPacket(0, 2, "", nil)[HeaderSize:])
	okPackets(f, func(payload []byte, _ OK) { f.Add(payload) })
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= MaxPayload {
			return
		}
		o, err := ParseOK(b)
		if err != nil {
			return
		}
		got := o.Strip(AppendPacket(nil, 1, bytes.Clone(b)))
		if PayloadLen(got)+HeaderSize != len(got) || len(got) > len(b)+HeaderSize {
			t.Fatalf("stripped %x to %x", b, got)
		}
		again, err := ParseOK(got[HeaderSize:])
		if err != nil || again.Track != nil || again.Status.Has(StatusSessionStateChanged) || !bytes.Equal(again.Info, o.Info) {
			t.Fatalf("stripped packet reads %+v, %v", again, err)
		}
	})
}
