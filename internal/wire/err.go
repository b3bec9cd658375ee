package wire

import (
	"encoding/binary"
	"fmt"
)

// ServerError is an ERR packet: a server's refusal, or one that the proxy words itself. Raw is the whole payload, so
// that it can be forwarded byte for byte.
type ServerError struct {
	Code    uint16
	State   string // SQLSTATE of five characters; "" where the packet has none (before the handshake)
	Message string
	Raw     []byte
}

// Error gives code, SQLSTATE and message the way the mysql client prints them.
func (e *ServerError) Error() string {
	if e.State == "" {
		return fmt.Sprintf("ERROR %d: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("ERROR %d (%s): %s", e.Code, e.State, e.Message)
}

// NewServerError makes an error that the proxy words itself, with its packet in Raw.
func NewServerError(code uint16, state, message string) *ServerError {
	return &ServerError{Code: code, State: state, Message: message, Raw: AppendErr(nil, code, state, message)}
}

// IsErr reports whether payload is an ERR packet.
func IsErr(payload []byte) bool { return len(payload) >= 3 && payload[0] == HeaderERR }

// ParseErr decodes an ERR packet. The result owns its bytes. The error is a *MalformedError.
func ParseErr(payload []byte) (*ServerError, error) {
	if !IsErr(payload) {
		return nil, malformed("ERR", "no ERR header")
	}
	e := &ServerError{
		Code: binary.LittleEndian.Uint16(payload[1:]),
		Raw:  append([]byte(nil), payload...),
	}
	rest := payload[3:]
	if len(rest) >= 6 && rest[0] == '#' {
		e.State = string(rest[1:6])
		rest = rest[6:]
	}
	e.Message = string(rest)
	return e, nil
}

// AppendErr appends an ERR packet's payload. state must have five characters, or be empty before the handshake.
func AppendErr(dst []byte, code uint16, state, message string) []byte {
	dst = append(dst, HeaderERR, byte(code), byte(code>>8))
	if len(state) == 5 {
		dst = append(append(dst, '#'), state...)
	}
	return append(dst, message...)
}
