package wire

import "sync"

// scratchSizes are the sizes in bytes of the buffers that compressed connections borrow for one packet.
var scratchSizes = [...]int{4 << 10, 16<<10 + 64, 64<<10 + 64, 256<<10 + 64, 1 << 20, 4 << 20, MaxPayload + 1}

var scratchPools [len(scratchSizes)]sync.Pool

// scratch is a borrowed buffer. The zero value holds none.
type scratch struct {
	buf   *[]byte
	class int
}

// borrowScratch gives a buffer of at least size bytes, at most 16 MiB.
func borrowScratch(size int) scratch {
	class := 0
	for class < len(scratchSizes)-1 && scratchSizes[class] < size {
		class++
	}
	if b, ok := scratchPools[class].Get().(*[]byte); ok {
		return scratch{buf: b, class: class}
	}
	b := make([]byte, scratchSizes[class])
	return scratch{buf: &b, class: class}
}

func (s *scratch) release() {
	if s.buf != nil {
		scratchPools[s.class].Put(s.buf)
		*s = scratch{}
	}
}

// grow exchanges the buffer for a larger one that begins with its first n bytes.
func (s *scratch) grow(n int) {
	larger := borrowScratch(len(*s.buf) + 1)
	copy(*larger.buf, (*s.buf)[:n])
	s.release()
	*s = larger
}
