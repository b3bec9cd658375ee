package wire

import "encoding/binary"

// ReadLenEnc reads a length-encoded integer at the start of b. n is the number of bytes it takes (1, 3, 4 or 9).
// ok is false when b is too short or starts with 0xFB (NULL) or 0xFF, which are no integers.
func ReadLenEnc(b []byte) (v uint64, n int, ok bool) {
	if len(b) == 0 {
		return 0, 0, false
	}
	switch first := b[0]; {
	case first < 0xfb:
		return uint64(first), 1, true
	case first == 0xfc && len(b) >= 3:
		return uint64(b[1]) | uint64(b[2])<<8, 3, true
	case first == 0xfd && len(b) >= 4:
		return uint64(b[1]) | uint64(b[2])<<8 | uint64(b[3])<<16, 4, true
	case first == 0xfe && len(b) >= 9:
		return binary.LittleEndian.Uint64(b[1:]), 9, true
	default:
		return 0, 0, false
	}
}

// AppendLenEnc appends v as length-encoded integer in its shortest form.
func AppendLenEnc(dst []byte, v uint64) []byte {
	switch {
	case v < 0xfb:
		return append(dst, byte(v))
	case v <= 0xffff:
		return append(dst, 0xfc, byte(v), byte(v>>8))
	case v <= 0xffffff:
		return append(dst, 0xfd, byte(v), byte(v>>8), byte(v>>16))
	default:
		return binary.LittleEndian.AppendUint64(append(dst, 0xfe), v)
	}
}

// ReadLenEncBytes reads a length-encoded string at the start of b. s is a part of b, not a copy; n is the number of
// bytes that length and string take together. ok is false when b ends before the string does.
func ReadLenEncBytes(b []byte) (s []byte, n int, ok bool) {
	length, head, ok := ReadLenEnc(b)
	if !ok || length > uint64(len(b)-head) {
		return nil, 0, false
	}
	end := head + int(length)
	return b[head:end:end], end, true
}

// AppendLenEncBytes appends s with its length in front.
func AppendLenEncBytes(dst, s []byte) []byte {
	return append(AppendLenEnc(dst, uint64(len(s))), s...)
}
