package proxyproto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
)

// Version is the form of a header.
type Version uint8

// The versions. The zero value sends nothing.
const (
	Off Version = iota
	V1          // a line of text
	V2          // binary
)

// String gives the name as in the configuration.
func (v Version) String() string {
	switch v {
	case Off:
		return "off"
	case V1:
		return "v1"
	case V2:
		return "v2"
	}
	return "invalid"
}

// Header is what a proxy says about a connection. It is the zero Header when it says nothing: the connection is the
// proxy's own (LOCAL), or its client has no address of the internet (UNKNOWN, a Unix socket).
type Header struct {
	Source      netip.AddrPort // the client
	Destination netip.AddrPort // what the client connected to
}

// Known reports whether the header names a client.
func (h Header) Known() bool { return h.Source.IsValid() && h.Destination.IsValid() }

// signature begins a header of version 2; no header of version 1 and no other protocol begins so.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// The bytes behind the signature: version and command, family and transport.
const (
	commandLocal = 0x20
	commandProxy = 0x21
	familyIPv4   = 0x1
	familyIPv6   = 0x2
	familyUnix   = 0x3
	stream       = 0x1
	datagram     = 0x2
)

// Limits in bytes. The specification bounds a line of version 1; a header of version 2 with every extension in use
// (a TLS certificate's name among them) has some hundreds.
const (
	maxLine  = 107
	maxBlock = 4096
)

// ErrMalformed is wrapped by all errors about the content of a header.
var ErrMalformed = errors.New("malformed PROXY protocol header")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// Append appends the header in version v to dst; for Off nothing.
func (h Header) Append(dst []byte, v Version) []byte {
	h = h.sameFamily()
	switch v {
	case V1:
		return h.appendLine(dst)
	case V2:
		return h.appendBlock(dst)
	default:
		return dst
	}
}

// sameFamily gives both addresses the same family: IPv4 where both have it, else IPv6.
func (h Header) sameFamily() Header {
	if !h.Known() {
		return Header{}
	}
	s, d := h.Source.Addr().Unmap(), h.Destination.Addr().Unmap()
	if s.Is4() != d.Is4() {
		s, d = netip.AddrFrom16(s.As16()), netip.AddrFrom16(d.As16())
	}
	return Header{netip.AddrPortFrom(s.WithZone(""), h.Source.Port()), netip.AddrPortFrom(d.WithZone(""), h.Destination.Port())}
}

func (h Header) appendLine(dst []byte) []byte {
	if !h.Known() {
		return append(dst, "PROXY UNKNOWN\r\n"...)
	}
	family := "TCP6 "
	if h.Source.Addr().Is4() {
		family = "TCP4 "
	}
	dst = append(append(dst, "PROXY "...), family...)
	dst = append(h.Source.Addr().AppendTo(dst), ' ')
	dst = append(h.Destination.Addr().AppendTo(dst), ' ')
	dst = append(strconv.AppendUint(dst, uint64(h.Source.Port()), 10), ' ')
	return append(strconv.AppendUint(dst, uint64(h.Destination.Port()), 10), "\r\n"...)
}

func (h Header) appendBlock(dst []byte) []byte {
	dst = append(dst, signature...)
	if !h.Known() {
		return append(dst, commandLocal, 0, 0, 0)
	}
	source, destination := h.Source.Addr().AsSlice(), h.Destination.Addr().AsSlice()
	family := byte(familyIPv6)
	if h.Source.Addr().Is4() {
		family = familyIPv4
	}
	dst = append(dst, commandProxy, family<<4|stream)
	dst = binary.BigEndian.AppendUint16(dst, uint16(2*len(source)+4))
	dst = append(append(dst, source...), destination...)
	dst = binary.BigEndian.AppendUint16(dst, h.Source.Port())
	return binary.BigEndian.AppendUint16(dst, h.Destination.Port())
}
