package proxy

import "sync"

// Sizes in bytes of the buffers that a session borrows while it relays. It starts with the smallest, takes the next
// when one read filled it, and gives back all before it waits for its client. A statement or a terminal packet that
// must be seen whole takes the largest.
const (
	smallBuffer  = 16 << 10
	mediumBuffer = 64 << 10
	largeBuffer  = 256 << 10
	wholeBuffer  = 1<<20 + 64<<10
)

var bufferSizes = [...]int{smallBuffer, mediumBuffer, largeBuffer, wholeBuffer}

var bufferPools [len(bufferSizes)]sync.Pool

// newBuffer takes a buffer of a class from its pool, or makes one.
func newBuffer(class int) *[]byte {
	if b, ok := bufferPools[class].Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, bufferSizes[class])
	return &b
}

// buffer holds bytes that were read and not used up yet: data[start:end].
type buffer struct {
	data       *[]byte // from a pool; nil while nothing is borrowed
	class      int
	start, end int
}

func (b *buffer) borrow() {
	if b.data == nil {
		b.class = 0
		b.data = newBuffer(0)
		b.start, b.end = 0, 0
	}
}

// giveBack returns the memory to its pool if it holds no bytes.
func (b *buffer) giveBack() {
	if b.data != nil && b.start == b.end {
		b.drop()
	}
}

func (b *buffer) drop() {
	if b.data != nil {
		bufferPools[b.class].Put(b.data)
		*b = buffer{}
	}
}

func (b *buffer) bytes() []byte {
	if b.data == nil {
		return nil
	}
	return (*b.data)[b.start:b.end]
}

func (b *buffer) consume(n int) {
	if b.start += n; b.start == b.end {
		b.start, b.end = 0, 0
	}
}

// use consumes n bytes and gives the memory back if they were the last.
func (b *buffer) use(n int) {
	b.consume(n)
	b.giveBack()
}

// room makes place for reading: it moves what is held to the front when half of the buffer is used up, and takes a
// larger buffer when it is full. False means that the largest one is full.
func (b *buffer) room() bool {
	b.borrow()
	if b.start > 0 && b.end > len(*b.data)/2 {
		b.end = copy(*b.data, (*b.data)[b.start:b.end])
		b.start = 0
	}
	if b.end < len(*b.data) {
		return true
	}
	return b.grow()
}

func (b *buffer) grow() bool {
	if b.class+1 == len(bufferSizes) {
		return false
	}
	data := newBuffer(b.class + 1)
	n := copy(*data, (*b.data)[b.start:b.end])
	bufferPools[b.class].Put(b.data)
	b.data, b.class, b.start, b.end = data, b.class+1, 0, n
	return true
}

func (b *buffer) free() []byte { return (*b.data)[b.end:] }
