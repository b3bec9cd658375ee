package proxy

import (
	"bytes"
	"testing"
)

func (b *buffer) put(p []byte) {
	b.end += copy(b.free(), p)
}

func TestBufferGrowsAndKeepsItsBytes(t *testing.T) {
	var b buffer
	var want []byte
	for b.room() {
		chunk := bytes.Repeat([]byte{byte(len(want) >> 12)}, min(5000, len(b.free())))
		b.put(chunk)
		want = append(want, chunk...)
	}
	if len(want) != wholeBuffer || !bytes.Equal(b.bytes(), want) {
		t.Errorf("%d bytes, want %d", len(b.bytes()), wholeBuffer)
	}
	b.giveBack()
	if b.data == nil {
		t.Error("given back with bytes in it")
	}
	b.consume(wholeBuffer - 10)
	if !b.room() || len(b.free()) != wholeBuffer-10 || !bytes.Equal(b.bytes(), want[wholeBuffer-10:]) {
		t.Errorf("%d free", len(b.free()))
	}
	b.consume(10)
	if b.giveBack(); b.data != nil || b.bytes() != nil {
		t.Error("not given back")
	}
}
