package wire

import "encoding/binary"

// SaltLen is the length of the scramble that servers send, without its terminator.
const SaltLen = 20

const (
	greetingVersion = 10
	maxVersionLen   = 256
	maxPluginLen    = 128
)

// Greeting is the first packet of a connection, protocol version 10, sent by the server.
type Greeting struct {
	Version      string // server version, as in SELECT VERSION()
	ConnID       uint32
	Salt         [SaltLen]byte
	Capabilities Capability
	Charset      byte // collation id of the server's default character set
	Status       Status
	AuthPlugin   string // the plugin that the salt is for; "" from servers without ClientPluginAuth
}

// ParseGreeting decodes a greeting. A server that refuses a connection answers with ERR instead; then the error is a
// *ServerError (1040, 1129, 1130...). Any other error is a *MalformedError. The result owns its bytes.
func ParseGreeting(payload []byte) (Greeting, error) {
	if IsErr(payload) {
		refusal, err := ParseErr(payload)
		if err != nil {
			return Greeting{}, err
		}
		return Greeting{}, refusal
	}
	c := cursor{rest: payload}
	if v := c.byte(); c.failed || v != greetingVersion {
		return Greeting{}, malformed("greeting", "protocol version is not 10")
	}
	var g Greeting
	g.Version = string(c.nul())
	g.ConnID = c.uint32()
	copy(g.Salt[:8], c.bytes(8))
	c.bytes(1)
	low := c.uint16()
	g.Charset = c.byte()
	g.Status = Status(c.uint16())
	high := c.uint16()
	authLen := int(c.byte())
	c.bytes(6)
	extended := c.uint32()
	if c.failed {
		return Greeting{}, malformed("greeting", "too short")
	}
	g.Capabilities = Capability(low) | Capability(high)<<16
	if g.Capabilities.MariaDB() {
		g.Capabilities |= Capability(extended) << 32
	}
	return g, g.parseAuth(&c, authLen)
}

func (g *Greeting) parseAuth(c *cursor, authLen int) error {
	if len(g.Version) > maxVersionLen {
		return malformed("greeting", "version too long")
	}
	// The second part takes at least 13 bytes, the last of them a terminator.
	second := c.bytes(max(13, authLen-8))
	if c.failed {
		return malformed("greeting", "salt too short")
	}
	copy(g.Salt[8:], second)
	if g.Capabilities.Has(ClientPluginAuth) {
		plugin := c.nulOrEnd()
		if len(plugin) > maxPluginLen {
			return malformed("greeting", "plugin name too long")
		}
		g.AuthPlugin = string(plugin)
	}
	return nil
}

// AppendTo appends the greeting's payload to dst.
func (g Greeting) AppendTo(dst []byte) []byte {
	dst = append(dst, greetingVersion)
	dst = append(append(dst, g.Version...), 0)
	dst = binary.LittleEndian.AppendUint32(dst, g.ConnID)
	dst = append(append(dst, g.Salt[:8]...), 0)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(g.Capabilities))
	dst = append(dst, g.Charset)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(g.Status))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(g.Capabilities>>16))
	authLen := byte(0)
	if g.Capabilities.Has(ClientPluginAuth) {
		authLen = SaltLen + 1
	}
	dst = append(dst, authLen, 0, 0, 0, 0, 0, 0)
	extended := uint32(0)
	if g.Capabilities.MariaDB() {
		extended = uint32(g.Capabilities >> 32)
	}
	dst = binary.LittleEndian.AppendUint32(dst, extended)
	dst = append(append(dst, g.Salt[8:]...), 0)
	if g.Capabilities.Has(ClientPluginAuth) {
		dst = append(append(dst, g.AuthPlugin...), 0)
	}
	return dst
}
