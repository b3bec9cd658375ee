package wire

import "encoding/binary"

const (
	sslRequestLen = 32
	maxUserLen    = 512 // 128 characters of up to 4 bytes
	maxDBLen      = 1024
	maxAuthLen    = 64 << 10 // Kerberos tickets and tokens are the longest
	MaxAttrsLen   = 64 << 10 // the limit of MySQL servers
)

// HandshakeResponse is a client's answer to the greeting (HandshakeResponse41).
type HandshakeResponse struct {
	Capabilities Capability
	MaxPacket    uint32
	Charset      byte // collation id, its low byte
	User         string
	Auth         []byte // answer to the salt for Plugin
	Database     string
	Plugin       string // "" from clients without ClientPluginAuth: mysql_native_password
	Attrs        []byte // connection attributes, encoded, without their total length; nil if none
	ZstdLevel    byte
}

// IsSSLRequest reports whether payload is the short packet by which a client asks for TLS before it tells its name.
func IsSSLRequest(payload []byte) bool {
	return len(payload) == sslRequestLen && Capability(binary.LittleEndian.Uint32(payload)).Has(ClientSSL|ClientProtocol41)
}

// AppendSSLRequest appends the packet that asks the server for TLS; the handshake response r follows inside TLS.
func AppendSSLRequest(dst []byte, r HandshakeResponse) []byte {
	r.Capabilities |= ClientSSL
	return r.appendHead(dst)
}

// ParseHandshakeResponse decodes a client's answer to the greeting. The result owns its bytes. The error is
// a *MalformedError; clients of before MySQL 4.1 get one too.
func ParseHandshakeResponse(payload []byte) (HandshakeResponse, error) {
	var r HandshakeResponse
	c := cursor{rest: payload}
	r.Capabilities = Capability(c.uint32())
	r.MaxPacket = c.uint32()
	r.Charset = c.byte()
	c.bytes(19)
	extended := c.uint32()
	if c.failed || !r.Capabilities.Has(ClientProtocol41) {
		return r, malformed("handshake response", "no 4.1 client")
	}
	if r.Capabilities.MariaDB() {
		r.Capabilities |= Capability(extended) << 32
	}
	r.User = string(c.nul())
	r.Auth = clone(c.authData(r.Capabilities))
	r.parseTail(&c)
	if c.failed {
		return HandshakeResponse{}, malformed("handshake response", "too short")
	}
	return r, checkLengths("handshake response", r.User, r.Database, r.Plugin, r.Auth, r.Attrs)
}

// parseTail reads the optional fields. Servers take a message that ends early as one with empty fields, so do we.
func (r *HandshakeResponse) parseTail(c *cursor) {
	if r.Capabilities.Has(ClientConnectWithDB) && len(c.rest) > 0 {
		r.Database = string(c.nulOrEnd())
	}
	if r.Capabilities.Has(ClientPluginAuth) && len(c.rest) > 0 {
		r.Plugin = string(c.nulOrEnd())
	}
	if r.Capabilities.Has(ClientConnectAttrs) && len(c.rest) > 0 {
		r.Attrs = clone(c.lenEncBytes())
	}
	if r.Capabilities.Has(ClientZstd) && len(c.rest) > 0 {
		r.ZstdLevel = c.byte()
	}
}

// authData reads the answer to the salt, whose length is written in one of three ways.
func (c *cursor) authData(caps Capability) []byte {
	switch {
	case caps.Has(ClientPluginAuthLenEncClientData):
		return c.lenEncBytes()
	case caps.Has(ClientSecureConnection):
		return c.bytes(int(c.byte()))
	default:
		return c.nulOrEnd()
	}
}

// AppendTo appends the response's payload to dst. Fields whose capability is not set are left out.
func (r HandshakeResponse) AppendTo(dst []byte) []byte {
	dst = r.appendHead(dst)
	dst = append(append(dst, r.User...), 0)
	switch {
	case r.Capabilities.Has(ClientPluginAuthLenEncClientData):
		dst = AppendLenEncBytes(dst, r.Auth)
	case r.Capabilities.Has(ClientSecureConnection):
		auth := r.Auth[:min(len(r.Auth), 255)]
		dst = append(append(dst, byte(len(auth))), auth...)
	default:
		dst = append(append(dst, r.Auth...), 0)
	}
	if r.Capabilities.Has(ClientConnectWithDB) {
		dst = append(append(dst, r.Database...), 0)
	}
	if r.Capabilities.Has(ClientPluginAuth) {
		dst = append(append(dst, r.Plugin...), 0)
	}
	if r.Capabilities.Has(ClientConnectAttrs) {
		dst = AppendLenEncBytes(dst, r.Attrs)
	}
	if r.Capabilities.Has(ClientZstd) {
		dst = append(dst, r.ZstdLevel)
	}
	return dst
}

func (r HandshakeResponse) appendHead(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(r.Capabilities))
	dst = binary.LittleEndian.AppendUint32(dst, r.MaxPacket)
	dst = append(dst, r.Charset)
	var filler [19]byte
	dst = append(dst, filler[:]...)
	extended := uint32(0)
	if r.Capabilities.MariaDB() {
		extended = uint32(r.Capabilities >> 32)
	}
	return binary.LittleEndian.AppendUint32(dst, extended)
}

func checkLengths(message, user, database, plugin string, auth, attrs []byte) error {
	switch {
	case len(user) > maxUserLen:
		return malformed(message, "user name too long")
	case len(database) > maxDBLen:
		return malformed(message, "database name too long")
	case len(plugin) > maxPluginLen:
		return malformed(message, "plugin name too long")
	case len(auth) > maxAuthLen:
		return malformed(message, "authentication data too long")
	case len(attrs) > MaxAttrsLen:
		return malformed(message, "connection attributes too long")
	default:
		return nil
	}
}

func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}
