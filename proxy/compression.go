package proxy

import (
	"net"

	"github.com/onewriter/onewriter/internal/wire"
)

// compressed puts the compression on the client's connection that it asked for in its response. That begins with the
// first packet after the OK of the login.
func (s *clientSession) compressed(conn net.Conn, r wire.HandshakeResponse) net.Conn {
	algorithm := r.Capabilities.Compression()
	if algorithm == wire.Uncompressed {
		return conn
	}
	return wire.NewCompressed(conn, algorithm, r.ZstdLevel, true)
}

// goOn tells a compressed connection that its next packet belongs to the command under way.
func (e *endpoint) goOn() {
	if c, ok := e.conn.(*wire.Compressed); ok {
		c.Continue()
	}
}
