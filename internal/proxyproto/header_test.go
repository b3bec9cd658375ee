package proxyproto

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
)

func header(source, destination string) Header {
	return Header{netip.MustParseAddrPort(source), netip.MustParseAddrPort(destination)}
}

// block is a header of version 2.
func block(command, kind byte, rest string) string {
	return signature + string([]byte{command, kind, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

func TestRead(t *testing.T) {
	four, six := header("192.0.2.1:1234", "198.51.100.2:6446"), header("[2001:db8::1]:65535", "[2001:db8::2]:0")
	unix := strings.Repeat("x", 216)
	for text, want := range map[string]Header{
		"PROXY TCP4 192.0.2.1 198.51.100.2 1234 6446\r\n": four,
		"PROXY TCP6 2001:db8::1 2001:db8::2 65535 0\r\n":  six,
		"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n": header("192.0.2.1:1", "[2001:db8::2]:2"),
		"PROXY UNKNOWN\r\n":                                                                             {},
		"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n":                                                 {},
		block(0x21, 0x11, "\xc0\x00\x02\x01\xc6\x33\x64\x02\x04\xd2\x19\x2e"):                           four,
		block(0x21, 0x11, "\xc0\x00\x02\x01\xc6\x33\x64\x02\x04\xd2\x19\x2e\x01\x00\x02h2\x04\x00\x00"): four, // ALPN, NOOP
		string(six.Append(nil, V2)):                                                                     six,
		block(0x20, 0x00, ""):                                                                           {}, // a health check
		block(0x20, 0x11, "ignored"):                                                                    {},
		block(0x21, 0x00, ""):                                                                           {}, // UNSPEC
		block(0x21, 0x31, unix):                                                                         {},
		block(0x21, 0x12, "\xc0\x00\x02\x01\xc6\x33\x64\x02\x04\xd2\x19\x2e"):                           {}, // UDP
	} {
		for name, r := range map[string]io.Reader{
			"at once":      strings.NewReader(text + "rest"),
			"byte by byte": iotest.OneByteReader(strings.NewReader(text + "rest")),
		} {
			got, err := Read(r)
			if err != nil || got != want {
				t.Errorf("%q %s: %v, %v", text, name, got, err)
			}
			if rest, _ := io.ReadAll(r); string(rest) != "rest" {
				t.Errorf("%q %s: %q is left", text, name, rest)
			}
		}
		for n := range len(text) {
			if _, err := Read(strings.NewReader(text[:n])); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%d bytes of %q: %v", n, text, err)
			}
		}
	}
}

func TestReadMalformed(t *testing.T) {
	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 1234\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 1234 6446 1\r\n",
		"PROXY TCP4 192.0.2.1  198.51.100.2 1234 6446\r\n",
		"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
		"PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
		"PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 -1 2\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n\r\n",
		"PROXY UNKNOWNX\r\n",
		"PROXY " + strings.Repeat("x", maxLine) + "\r\n",
		"proxy unknown\r\n",
		block(0x11, 0x11, ""),
		block(0x22, 0x11, ""),
		block(0x21, 0x41, ""),
		block(0x21, 0x13, ""),
		block(0x21, 0x11, "short"),
		signature + "\x21\x11\xff\xff",
	} {
		if h, err := Read(strings.NewReader(text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v, %v", text, h, err)
		}
	}
}

func TestAppend(t *testing.T) {
	for _, h := range []Header{
		{}, header("192.0.2.1:1", "198.51.100.2:2"), header("[2001:db8::1]:1", "[2001:db8::2]:2"),
		header("192.0.2.1:1", "[2001:db8::2]:2"), header("[::ffff:192.0.2.1]:1", "198.51.100.2:2"), header("[fe80::1%eth0]:1", "[fe80::2%eth0]:2"),
		{Source: netip.MustParseAddrPort("192.0.2.1:1")},
	} {
		want := Header{}
		if h.Known() {
			plain := func(a netip.AddrPort) netip.AddrPort {
				return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
			}
			want = Header{plain(h.Source), plain(h.Destination)}
		}
		for _, v := range []Version{V1, V2} {
			b := h.Append([]byte("x"), v)
			got, err := Read(bytes.NewReader(b[1:]))
			if err != nil || got != want {
				t.Errorf("%v as %s: %q is read as %v, %v", h, v, b, got, err)
			}
		}
		if b := h.Append(nil, Off); len(b) != 0 {
			t.Errorf("%v is sent: %q", h, b)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, v := range []Version{V1, V2} {
		for _, h := range []Header{{}, header("192.0.2.1:1", "198.51.100.2:2"), header("[2001:db8::1]:1", "[2001:db8::2]:2")} {
			f.Add(h.Append(nil, v))
		}
	}
	f.Add([]byte(block(0x21, 0x11, "\xc0\x00\x02\x01\xc6\x33\x64\x02\x04\xd2\x19\x2e\x01\x00\x02h2")))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		h, err := Read(r)
		if err != nil {
			return
		}
		// It is read again from exactly the bytes that were used up, and what it says survives being written.
		if again, err := Read(bytes.NewReader(b[:len(b)-r.Len()])); err != nil || again != h {
			t.Errorf("%v, %v", again, err)
		}
		for _, v := range []Version{V1, V2} {
			if again, err := Read(bytes.NewReader(h.Append(nil, v))); err != nil || again != h {
				t.Errorf("%v as %s is read as %v, %v", h, v, again, err)
			}
		}
	})
}
