package wire

import "bytes"

// First bytes of the packets that a server sends while it authenticates a client; ERR and OK end it.
const (
	HeaderAuthMoreData   byte = 0x01
	HeaderAuthNextFactor byte = 0x02
	HeaderAuthSwitch     byte = 0xfe
)

// AuthSwitch asks a client to authenticate with another plugin.
type AuthSwitch struct {
	Plugin string
	Data   []byte // mostly the salt with a NUL behind it
}

// ParseAuthSwitch decodes a switch request; a bare 0xFE, the request of servers before 5.5, names
// mysql_old_password. The result owns its bytes. The error is a *MalformedError.
func ParseAuthSwitch(payload []byte) (AuthSwitch, error) {
	if len(payload) == 0 || payload[0] != HeaderAuthSwitch {
		return AuthSwitch{}, malformed("auth switch", "no such header")
	}
	if len(payload) == 1 {
		return AuthSwitch{Plugin: "mysql_old_password"}, nil
	}
	c := cursor{rest: payload[1:]}
	plugin := c.nulOrEnd()
	if len(plugin) > maxPluginLen {
		return AuthSwitch{}, malformed("auth switch", "plugin name too long")
	}
	if len(c.rest) > maxAuthLen {
		return AuthSwitch{}, malformed("auth switch", "data too long")
	}
	return AuthSwitch{Plugin: string(plugin), Data: clone(c.rest)}, nil
}

// AppendTo appends the request's payload to dst.
func (a AuthSwitch) AppendTo(dst []byte) []byte {
	dst = append(dst, HeaderAuthSwitch)
	dst = append(append(dst, a.Plugin...), 0)
	return append(dst, a.Data...)
}

// AppendAuthMoreData appends the packet by which a server continues a plugin's exchange.
func AppendAuthMoreData(dst, data []byte) []byte {
	return append(append(dst, HeaderAuthMoreData), data...)
}

// TrimNUL cuts the terminator that clear-text passwords and salts carry.
func TrimNUL(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}
