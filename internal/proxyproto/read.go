package proxyproto

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

const (
	linePrefix = "PROXY "
	// least is how long every header is at least: the longest that can be read without reading beyond one.
	least = len(linePrefix) + len("UNKNOWN\r\n")
	// blockHead is the fixed part of version 2.
	blockHead = len(signature) + 4
)

// Read reads one header from r, and nothing beyond it. What begins like none is an error that wraps ErrMalformed, as is
// everything else about its content; other errors are those of r.
func Read(r io.Reader) (Header, error) {
	var buf [maxLine]byte
	if _, err := io.ReadFull(r, buf[:least]); err != nil {
		return Header{}, err
	}
	switch {
	case string(buf[:len(signature)]) == signature:
		if _, err := io.ReadFull(r, buf[least:blockHead]); err != nil {
			return Header{}, err
		}
		return readBlock(r, buf[:blockHead])
	case string(buf[:len(linePrefix)]) == linePrefix:
		return readLine(r, buf[:], least)
	default:
		return Header{}, malformed("it begins with %q", buf[:least])
	}
}

// readLine reads a header of version 1, of which n bytes are in buf. Where it ends is known only when it is there, so
// that the rest comes byte by byte.
func readLine(r io.Reader, buf []byte, n int) (Header, error) {
	for !bytes.HasSuffix(buf[:n], []byte("\r\n")) {
		if n == len(buf) {
			return Header{}, malformed("a line of more than %d bytes", maxLine)
		}
		if bytes.IndexByte(buf[:n], '\n') >= 0 {
			return Header{}, malformed("a line that does not end in CRLF")
		}
		if _, err := io.ReadFull(r, buf[n:n+1]); err != nil {
			return Header{}, err
		}
		n++
	}
	return parseLine(string(buf[len(linePrefix) : n-2]))
}

func parseLine(line string) (Header, error) {
	if line == "UNKNOWN" || strings.HasPrefix(line, "UNKNOWN ") {
		return Header{}, nil
	}
	f := strings.Split(line, " ")
	if len(f) != 5 || f[0] != "TCP4" && f[0] != "TCP6" {
		return Header{}, malformed("%q", line)
	}
	source, err := addrPort(f[0], f[1], f[3])
	if err != nil {
		return Header{}, err
	}
	destination, err := addrPort(f[0], f[2], f[4])
	return Header{source, destination}, err
}

func addrPort(family, address, port string) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Zone() != "" || a.Is4() != (family == "TCP4") {
		return netip.AddrPort{}, malformed("%q is no address of %s", address, family)
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, malformed("%q is no port", port)
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), nil
}

// readBlock reads what follows the fixed part of a header of version 2. Extensions behind the addresses (TLVs) are
// skipped.
func readBlock(r io.Reader, head []byte) (Header, error) {
	command, kind, size := head[len(signature)], head[len(signature)+1], int(binary.BigEndian.Uint16(head[len(signature)+2:]))
	if command != commandLocal && command != commandProxy {
		return Header{}, malformed("version and command %#x", command)
	}
	if size > maxBlock {
		return Header{}, malformed("%d bytes of addresses and extensions, more than %d", size, maxBlock)
	}
	block := make([]byte, size)
	if _, err := io.ReadFull(r, block); err != nil {
		return Header{}, fmt.Errorf("addresses of the PROXY protocol header: %w", err)
	}
	if command == commandLocal {
		return Header{}, nil
	}
	family, transport := kind>>4, kind&0xF
	if family > familyUnix || transport > datagram {
		return Header{}, malformed("family and transport %#x", kind)
	}
	length := map[byte]int{familyIPv4: 4, familyIPv6: 16}[family]
	if length == 0 || transport != stream {
		return Header{}, nil // no address of a TCP client
	}
	if size < 2*length+4 {
		return Header{}, malformed("%d bytes do not hold the addresses", size)
	}
	source, _ := netip.AddrFromSlice(block[:length])
	destination, _ := netip.AddrFromSlice(block[length : 2*length])
	ports := block[2*length:]
	return Header{
		netip.AddrPortFrom(source.Unmap(), binary.BigEndian.Uint16(ports)),
		netip.AddrPortFrom(destination.Unmap(), binary.BigEndian.Uint16(ports[2:])),
	}, nil
}
