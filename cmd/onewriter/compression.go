package main

import (
	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/internal/wire"
)

func serverCompression(c conf.Compression) wire.Compression {
	switch c {
	case conf.CompressionZlib:
		return wire.Zlib
	case conf.CompressionZstd:
		return wire.Zstd
	case conf.CompressionOff:
	}
	return wire.Uncompressed
}
