package wire

import "encoding/binary"

// ChangeUser is COM_CHANGE_USER: log in anew on an open connection.
type ChangeUser struct {
	User     string
	Auth     []byte // answer to the salt of the greeting, at most 255 bytes
	Database string
	Charset  uint16 // collation id; 0 when the client sent none
	Plugin   string
	Attrs    []byte // as in HandshakeResponse
}

// maxChangeAuth is how long an answer may be, in bytes: its length takes one.
const maxChangeAuth = 255

// ParseChangeUser decodes the command of a client that uses the capabilities caps. The result owns its bytes. The
// error is a *MalformedError.
func ParseChangeUser(payload []byte, caps Capability) (ChangeUser, error) {
	c := cursor{rest: payload}
	if c.byte() != ComChangeUser {
		return ChangeUser{}, malformed("change user", "other command")
	}
	var u ChangeUser
	u.User = string(c.nul())
	if caps.Has(ClientSecureConnection) {
		u.Auth = clone(c.bytes(int(c.byte())))
	} else {
		u.Auth = clone(c.nul())
	}
	u.Database = string(c.nulOrEnd())
	if len(c.rest) >= 2 {
		u.Charset = c.uint16()
	}
	if caps.Has(ClientPluginAuth) && len(c.rest) > 0 {
		u.Plugin = string(c.nulOrEnd())
	}
	if caps.Has(ClientConnectAttrs) && len(c.rest) > 0 {
		u.Attrs = clone(c.lenEncBytes())
	}
	if c.failed {
		return ChangeUser{}, malformed("change user", "too short")
	}
	if len(u.Auth) > maxChangeAuth {
		return ChangeUser{}, malformed("change user", "answer too long")
	}
	return u, checkLengths("change user", u.User, u.Database, u.Plugin, u.Auth, u.Attrs)
}

// AppendTo appends the command's payload for a connection with the capabilities caps.
func (u ChangeUser) AppendTo(dst []byte, caps Capability) []byte {
	dst = append(dst, ComChangeUser)
	dst = append(append(dst, u.User...), 0)
	auth := u.Auth[:min(len(u.Auth), maxChangeAuth)]
	if caps.Has(ClientSecureConnection) {
		dst = append(append(dst, byte(len(auth))), auth...)
	} else {
		dst = append(append(dst, auth...), 0)
	}
	dst = append(append(dst, u.Database...), 0)
	dst = binary.LittleEndian.AppendUint16(dst, u.Charset)
	if caps.Has(ClientPluginAuth) {
		dst = append(append(dst, u.Plugin...), 0)
	}
	if caps.Has(ClientConnectAttrs) {
		dst = AppendLenEncBytes(dst, u.Attrs)
	}
	return dst
}
