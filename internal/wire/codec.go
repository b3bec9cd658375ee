package wire

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory in bytes that a peer's zstd frame can ask for: a packet is never longer.
const maxWindow = 1 << 24

// inflater decompresses the body of one packet after another. It is pooled: none is held between packets.
type inflater struct {
	src  bytes.Reader
	zlib io.ReadCloser // made by the first packet, since it wants to see a header
	zstd *zstd.Decoder
	over [1]byte // for a look behind the end
}

var zlibInflaters, zstdInflaters sync.Pool

// newInflater takes a decompressor for body, which must stay unchanged until release.
func newInflater(c Compression, body []byte) (*inflater, error) {
	pool := &zlibInflaters
	if c == Zstd {
		pool = &zstdInflaters
	}
	f, ok := pool.Get().(*inflater)
	if !ok {
		f = &inflater{}
	}
	f.src.Reset(body)
	if err := f.begin(c); err != nil {
		return nil, err // a decompressor in an unknown state is not used again
	}
	return f, nil
}

func (f *inflater) begin(c Compression) (err error) {
	switch {
	case c == Zstd && f.zstd == nil:
		f.zstd, err = zstd.NewReader(&f.src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecodeBuffersBelow(0))
		return err
	case c == Zstd:
		return f.zstd.Reset(&f.src)
	case f.zlib == nil:
		f.zlib, err = zlib.NewReader(&f.src)
		return err
	default:
		resetter, ok := f.zlib.(zlib.Resetter)
		if !ok {
			return errors.New("wire: zlib reader cannot be reset")
		}
		return resetter.Reset(&f.src, nil)
	}
}

// Read gives decompressed bytes; io.EOF at the end of the packet, once its checksum was right.
func (f *inflater) Read(p []byte) (int, error) {
	if f.zstd != nil {
		return f.zstd.Read(p)
	}
	return f.zlib.Read(p)
}

// release gives the decompressor back after it has reached the end of a packet that was size bytes long. One that had
// to keep a large window is left to the garbage collector.
func (f *inflater) release(size int) {
	f.src.Reset(nil)
	switch {
	case f.zstd == nil:
		zlibInflaters.Put(f)
	case size > 1<<20:
		f.zstd.Close()
	default:
		zstdInflaters.Put(f)
	}
}

// deflater compresses with zlib into a slice. It gives up when the result is not shorter than what went in.
type deflater struct {
	w   *zlib.Writer
	out []byte
}

var errNotShorter = errors.New("wire: compression does not pay")

// Write appends to the output within its capacity.
func (d *deflater) Write(p []byte) (int, error) {
	if len(p) > cap(d.out)-len(d.out) {
		return 0, errNotShorter
	}
	d.out = append(d.out, p...)
	return len(p), nil
}

var deflaters sync.Pool

// zlibLevel is the fastest: the proxy's CPU is dearer than the last tenth of a shorter answer.
const zlibLevel = zlib.BestSpeed

// appendZlib appends src compressed to dst, within the capacity of dst; false when it does not fit there.
func appendZlib(dst, src []byte) ([]byte, bool) {
	d, ok := deflaters.Get().(*deflater)
	if !ok {
		d = &deflater{}
		w, err := zlib.NewWriterLevel(d, zlibLevel)
		if err != nil {
			return dst, false // the level is a constant that is allowed
		}
		d.w = w
	}
	d.out = dst
	d.w.Reset(d)
	_, err := d.w.Write(src)
	if err == nil {
		err = d.w.Close()
	}
	out := d.out
	d.out = nil
	deflaters.Put(d)
	return out, err == nil
}

// zstdEncoders are shared: an encoder compresses whole packets for any number of sessions. Those of the levels that no
// client asked for are not made.
var zstdEncoders [zstd.SpeedBestCompression + 1]struct {
	once sync.Once
	enc  *zstd.Encoder
}

// zstdLevel maps the level that a client sent (1 to 22, 0 for none) to one of the library's.
func zstdLevel(level byte) zstd.EncoderLevel {
	if level == 0 {
		level = DefaultZstdLevel
	}
	return zstd.EncoderLevelFromZstd(int(level))
}

// DefaultZstdLevel is MySQL's own default for clients.
const DefaultZstdLevel = 3

// appendZstd appends src compressed to dst.
func appendZstd(dst, src []byte, level zstd.EncoderLevel) ([]byte, bool) {
	e := &zstdEncoders[level]
	e.once.Do(func() {
		e.enc, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithWindowSize(maxPlain),
			zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	})
	if e.enc == nil {
		return dst, false
	}
	return e.enc.EncodeAll(src, dst), true
}
