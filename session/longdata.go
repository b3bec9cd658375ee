package session

import "github.com/onewriter/onewriter/internal/wire"

// maxLongData is how much long data a session keeps for the case that it has to move before the execution, in bytes. With
// more it is pinned until then.
const maxLongData = 256 << 10

// keepLong keeps a packet of COM_STMT_SEND_LONG_DATA, which is sent on to the server at the same time.
func (s *statements) keepLong(st *statement, pkt []byte, whole bool) {
	if !whole || s.longBytes+len(pkt) > maxLongData {
		s.dropLong(st)
		s.setLongData(st, true)
	}
	if st.longData {
		return
	}
	st.long = append(st.long, pkt...)
	s.longBytes += len(pkt)
}

// dropLong forgets the long data of st: it was used, or is not wanted any more.
func (s *statements) dropLong(st *statement) {
	s.setLongData(st, false)
	s.longBytes -= len(st.long)
	st.long = nil
}

// withLong puts the long data that the present server connection has not got before pkt, a command about st.
func (c *Core) withLong(st *statement, pkt []byte) []byte {
	if len(st.long) == 0 || st.longGeneration == c.generation {
		return pkt
	}
	b := make([]byte, 0, len(st.long)+len(pkt))
	b = append(b, st.long...)
	for at := 0; at < len(b); at += wire.HeaderSize + wire.PayloadLen(b[at:]) {
		putID(b[at:], st.serverID)
	}
	return append(b, pkt...)
}
