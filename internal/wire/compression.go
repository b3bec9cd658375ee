package wire

// Compression is an algorithm of the compressed protocol. The zero value is none.
type Compression uint8

// The algorithms. Servers and clients of MariaDB know zlib only.
const (
	Uncompressed Compression = iota
	Zlib
	Zstd
)

// String gives the name that MySQL's options use.
func (c Compression) String() string {
	switch c {
	case Zlib:
		return "zlib"
	case Zstd:
		return "zstd"
	case Uncompressed:
		return "uncompressed"
	default:
		return "unknown"
	}
}

// compressing are the flags that ask for compression. They are settled by each hop for itself.
const compressing = ClientCompress | ClientZstd

// WithoutCompression gives the flags without those of the compressed protocol.
func (c Capability) WithoutCompression() Capability { return c &^ compressing }

// CompressionOffer gives the flags by which a greeting with the capabilities c offers compression: what every client
// of that flavour may use.
func (c Capability) CompressionOffer() Capability {
	if c.MariaDB() {
		return ClientCompress
	}
	return compressing
}

// Compression gives the algorithm that a client has chosen with its flags. One that sets both gets zlib, as from a
// server with the default list of algorithms (zlib, zstd, uncompressed).
func (c Capability) Compression() Compression {
	switch {
	case c.Has(ClientCompress):
		return Zlib
	case c.Has(ClientZstd):
		return Zstd
	default:
		return Uncompressed
	}
}

// Flag is what a client sets to ask for the algorithm.
func (c Compression) Flag() Capability {
	switch c {
	case Zlib:
		return ClientCompress
	case Zstd:
		return ClientZstd
	default:
		return 0
	}
}
