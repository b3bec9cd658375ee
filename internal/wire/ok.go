package wire

import (
	"encoding/binary"
	"errors"
)

// HeaderSize is the size in bytes of a packet header: three bytes of length, one of sequence.
const HeaderSize = 4

// MaxPayload is the largest payload of one packet; a payload of exactly this size is continued by the next packet.
const MaxPayload = 1<<24 - 1

// First bytes that tell packets apart.
const (
	HeaderOK     byte = 0x00
	HeaderInfile byte = 0xFB
	HeaderEOF    byte = 0xFE
	HeaderERR    byte = 0xFF
)

// ErrMalformed says that a packet's fields do not fit its length.
var ErrMalformed = errors.New("wire: malformed packet")

// OK is the decoded form of an OK packet, or of the OK that ends a result set under DEPRECATE_EOF.
type OK struct {
	AffectedRows uint64
	LastInsertID uint64
	Status       Status
	Warnings     uint16
	// Info and Track alias the packet. Track holds the session state changes, nil if there are none.
	Info  []byte
	Track []byte
	// offsets within the payload, kept for Strip
	statusAt, infoAt int
}

// ParseOK decodes the payload of an OK packet as sent on a connection with SESSION_TRACK. The slices in the result
// alias payload.
func ParseOK(payload []byte) (OK, error) {
	var o OK
	at := 1
	var n int
	var ok bool
	if len(payload) < 1 {
		return o, ErrMalformed
	}
	if o.AffectedRows, n, ok = ReadLenEnc(payload[at:]); !ok {
		return o, ErrMalformed
	}
	at += n
	if o.LastInsertID, n, ok = ReadLenEnc(payload[at:]); !ok {
		return o, ErrMalformed
	}
	at += n
	if len(payload) < at+4 {
		return o, ErrMalformed
	}
	o.statusAt = at
	o.Status = Status(binary.LittleEndian.Uint16(payload[at:]))
	o.Warnings = binary.LittleEndian.Uint16(payload[at+2:])
	at += 4
	o.infoAt = at
	if at == len(payload) {
		return o, nil
	}
	if o.Info, n, ok = ReadLenEncBytes(payload[at:]); !ok {
		return o, ErrMalformed
	}
	at += n
	if o.Status.Has(StatusSessionStateChanged) && at < len(payload) {
		if o.Track, _, ok = ReadLenEncBytes(payload[at:]); !ok {
			return o, ErrMalformed
		}
	}
	return o, nil
}

// Strip rewrites the whole packet pkt (header included), whose payload was decoded to o, in place to what the server
// would have sent to a client without SESSION_TRACK, and returns it shortened. An empty info string is dropped
// altogether, as servers do for such clients.
func (o OK) Strip(pkt []byte) []byte {
	payload := pkt[HeaderSize:]
	payload[o.statusAt+1] &^= byte(StatusSessionStateChanged >> 8)
	end := o.infoAt
	if len(o.Info) > 0 {
		_, n, _ := ReadLenEnc(payload[end:])
		end += n + len(o.Info)
	}
	PutHeader(pkt, end, pkt[3])
	return pkt[:HeaderSize+end]
}

// WithInfo gives a copy of an OK packet's payload with another text.
func WithInfo(payload, info []byte) ([]byte, error) {
	o, err := ParseOK(payload)
	if err != nil {
		return nil, err
	}
	rest := payload[o.infoAt:]
	if len(rest) > 0 {
		_, n, ok := ReadLenEncBytes(rest)
		if !ok {
			return nil, ErrMalformed
		}
		rest = rest[n:]
	}
	out := append(make([]byte, 0, len(payload)+len(info)+9), payload[:o.infoAt]...)
	return append(AppendLenEncBytes(out, info), rest...), nil
}

// PutHeader writes a packet header for a payload of n bytes (at most MaxPayload) with sequence number seq into dst.
func PutHeader(dst []byte, n int, seq byte) {
	dst[0], dst[1], dst[2], dst[3] = byte(n), byte(n>>8), byte(n>>16), seq
}

// PayloadLen reads the payload length from a packet header.
func PayloadLen(header []byte) int {
	return int(header[0]) | int(header[1])<<8 | int(header[2])<<16
}

// AppendPacket appends payload, which must be shorter than MaxPayload, as one packet with sequence number seq.
func AppendPacket(dst []byte, seq byte, payload []byte) []byte {
	n := len(payload)
	dst = append(dst, byte(n), byte(n>>8), byte(n>>16), seq)
	return append(dst, payload...)
}
