package proxy

import (
	"bytes"
	"strconv"

	"github.com/onewriter/onewriter/internal/wire"
)

// proxyAttribute begins the names of the connection attributes that the proxy adds. A client's own with that beginning
// are left out: nobody is to take its word for ours. A list that cannot be read to its end is cut there, because servers
// show the pairs before that all the same.
const proxyAttribute = "_proxy_"

// attributes are the client's connection attributes with those that tell where it comes from, and through what: they are
// in performance_schema.session_connect_attrs of the server. The client's come first, because servers keep the first 512
// bytes only (performance_schema_session_connect_attrs_size). Ours are left out where all would be too long for a login.
func (s *clientSession) attributes(client []byte) []byte {
	out := make([]byte, 0, len(client)+128)
	for rest := client; len(rest) > 0; {
		name, n, ok := wire.ReadLenEncBytes(rest)
		if !ok {
			break
		}
		_, m, ok := wire.ReadLenEncBytes(rest[n:])
		if !ok {
			break
		}
		if !bytes.HasPrefix(name, []byte(proxyAttribute)) {
			out = append(out, rest[:n+m]...)
		}
		rest = rest[n+m:]
	}
	theirs := len(out)
	from := s.origin.Load().Source
	for _, a := range [...][2]string{
		{"client_ip", from.Addr().String()}, {"client_port", strconv.Itoa(int(from.Port()))},
		{"name", "onewriter"}, {"version", s.cluster.config.Version},
	} {
		if a[1] != "" {
			out = wire.AppendLenEncBytes(out, []byte(proxyAttribute+a[0]))
			out = wire.AppendLenEncBytes(out, []byte(a[1]))
		}
	}
	if len(out) > wire.MaxAttrsLen {
		return out[:theirs]
	}
	return out
}
