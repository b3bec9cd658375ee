package wire

// MalformedError says that a message of the peer breaks the protocol.
type MalformedError struct {
	Message string // which message: "greeting", "handshake response"...
	Reason  string // what is wrong with it
}

// Error names the message and what is wrong with it.
func (e *MalformedError) Error() string { return "malformed " + e.Message + ": " + e.Reason }

// Unwrap makes every MalformedError match ErrMalformed.
func (e *MalformedError) Unwrap() error { return ErrMalformed }

func malformed(message, reason string) error {
	return &MalformedError{Message: message, Reason: reason}
}

// cursor reads a message from its front. The first short read makes it fail; later reads give zero values, so that
// a parser checks once at its end.
type cursor struct {
	rest   []byte
	failed bool
}

func (c *cursor) bytes(n int) []byte {
	if c.failed || n < 0 || n > len(c.rest) {
		c.failed = true
		return nil
	}
	s := c.rest[:n:n]
	c.rest = c.rest[n:]
	return s
}

func (c *cursor) byte() byte {
	if s := c.bytes(1); s != nil {
		return s[0]
	}
	return 0
}

func (c *cursor) uint16() uint16 {
	if s := c.bytes(2); s != nil {
		return uint16(s[0]) | uint16(s[1])<<8
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if s := c.bytes(4); s != nil {
		return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
	}
	return 0
}

// nul reads up to a NUL byte, which is consumed.
func (c *cursor) nul() []byte {
	for i, b := range c.rest {
		if b == 0 {
			s := c.bytes(i)
			c.bytes(1)
			return s
		}
	}
	c.failed = true
	return nil
}

// nulOrEnd reads up to a NUL byte or the end of the message: some clients leave out the last terminator.
func (c *cursor) nulOrEnd() []byte {
	for _, b := range c.rest {
		if b == 0 {
			return c.nul()
		}
	}
	return c.bytes(len(c.rest))
}

func (c *cursor) lenEncBytes() []byte {
	if c.failed {
		return nil
	}
	s, n, ok := ReadLenEncBytes(c.rest)
	if !ok {
		c.failed = true
		return nil
	}
	c.rest = c.rest[n:]
	return s
}
