package proxy

import (
	"net"

	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/session"
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

// stream tells a compressed connection that both its sides speak when they like from now on.
func (e *endpoint) stream(f session.Flavor) {
	if c, ok := e.conn.(*wire.Compressed); ok {
		c.Stream(f == session.MySQL)
	}
}

// owesPacket waits for a client that speaks compression to begin a packet, and reports whether the rest of it has still to
// come: unlike those of others, such a packet takes memory before anything can be read of it. It is false at once for
// clients without compression.
func (e *endpoint) owesPacket() (bool, error) {
	c, ok := e.conn.(*wire.Compressed)
	if !ok {
		return false, nil
	}
	if err := c.Await(); err != nil {
		return false, err
	}
	return c.Lacks(), nil
}
