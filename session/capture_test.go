package session

import (
	"bytes"
	"strings"
	"testing"

	"github.com/onewriter/onewriter/internal/capture"
	"github.com/onewriter/onewriter/internal/wire"
)

// conversation is what one connection to a real server said. The files in testdata/captures are recorded by TestMatrix in
// integration (see record there).
type conversation struct {
	name  string // flavour and features
	caps  wire.Capability
	cases []captured
}

type captured struct {
	name      string
	exchanges [][2][]byte
}

func captures(t testing.TB) (list []conversation) {
	t.Helper()
	for _, f := range capture.Read(t, "testdata/captures/*.gz") {
		c := conversation{name: f.Name, caps: wire.Capability(f.Caps)}
		for _, k := range f.Cases {
			one := captured{name: k.Name}
			for _, e := range k.Exchanges {
				one.exchanges = append(one.exchanges, [2][]byte{e.Sent, e.Answer})
			}
			c.cases = append(c.cases, one)
		}
		list = append(list, c)
	}
	return list
}

func (c *conversation) flavor() Flavor {
	if strings.HasPrefix(c.name, "mariadb") {
		return MariaDB
	}
	return MySQL
}

// replay plays a script to a session whose client has the features client, with the server's answers cut into pieces of
// the given sizes (the last one is the rest), and gives what the client saw, exchange by exchange.
func (c *conversation) replay(t *testing.T, script captured, client wire.Capability, cut func(rest int) int) (seen [][]byte) {
	t.Helper()
	core := newRig(t, Config{Flavor: c.flavor(), Client: client, Server: c.caps, Schema: "app"}).core
	for i, e := range script.exchanges {
		sent, answer := bytes.Clone(e[0]), bytes.Clone(e[1])
		if len(sent) > 0 {
			cmd, need, err := core.Peek(sent)
			if err != nil || need > 0 {
				t.Fatalf("%s, exchange %d: need %d, %v", script.name, i, need, err)
			}
			if _, n := core.Begin(sent); n != len(sent) {
				t.Fatalf("%s, exchange %d: %d of %d bytes used", script.name, i, n, len(sent))
			}
			if !wire.HasResponse(cmd.Code) {
				continue
			}
		}
		var out, held []byte
		next := ReadServer
		for len(answer) > 0 {
			n := min(max(1, cut(len(answer))), len(answer))
			held = append(held, answer[:n]...)
			answer = answer[n:]
			b, used, after, err := core.Server(held)
			if err != nil {
				t.Fatalf("%s, exchange %d (%.60q): %v", script.name, i, e[0], err)
			}
			out, next = append(out, b...), after
			held = append([]byte(nil), held[used:]...)
			if next != ReadServer && len(held)+len(answer) > 0 {
				t.Fatalf("%s, exchange %d (%.60q): %d bytes are left of the answer", script.name, i, e[0], len(held)+len(answer))
			}
		}
		if next == ReadInfile {
			core.Infile([]byte{0, 0, 0, 2})
		} else if next != Finished {
			t.Fatalf("%s, exchange %d (%.60q): the answer is not at its end", script.name, i, e[0])
		}
		seen = append(seen, out)
	}
	return seen
}

func whole(rest int) int { return rest }

// TestCapturesPassUnchanged: a client with the server's own features, but for tracking, sees the server's bytes.
func TestCapturesPassUnchanged(t *testing.T) {
	for _, c := range captures(t) {
		if c.caps.Has(wire.ClientSessionTrack) {
			continue
		}
		for _, script := range c.cases {
			seen := c.replay(t, script, c.caps, whole)
			i := 0
			for _, e := range script.exchanges {
				if len(e[1]) == 0 {
					continue
				}
				if !bytes.Equal(seen[i], e[1]) {
					t.Errorf("%s, %s, exchange %d: %x, want %x", c.name, script.name, i, seen[i], e[1])
				}
				i++
			}
		}
	}
}

// TestCapturesSplit feeds every answer cut in two at every byte, and byte by byte, to a client with session tracking and
// to one without.
func TestCapturesSplit(t *testing.T) {
	for _, c := range captures(t) {
		t.Run(c.name, func(t *testing.T) {
			for _, client := range []wire.Capability{c.caps, c.caps &^ wire.ClientSessionTrack} {
				for _, script := range c.cases {
					want := c.replay(t, script, client, whole)
					longest := 0
					for _, e := range script.exchanges {
						longest = max(longest, len(e[1]))
					}
					for at := range longest {
						first := true
						got := c.replay(t, script, client, func(rest int) int {
							if first = !first; first || at == 0 {
								return rest
							}
							return at
						})
						if at == 0 { // instead: byte by byte
							got = c.replay(t, script, client, func(int) int { return 1 })
						}
						for i := range want {
							if !bytes.Equal(got[i], want[i]) {
								t.Fatalf("%s, exchange %d, cut at %d: %x, want %x", script.name, i, at, got[i], want[i])
							}
						}
					}
				}
			}
		})
	}
}

// TestCapturesStripped: what a tracked server connection says, with the tracking taken out, is what the same server said
// to a client without tracking.
func TestCapturesStripped(t *testing.T) {
	all := map[string]conversation{}
	for _, c := range captures(t) {
		all[c.name] = c
	}
	for _, names := range [][2]string{
		{"mariadb-session_track", "mariadb-plain"}, {"mariadb-deprecate_eof-session_track", "mariadb-deprecate_eof"},
		{"mysql-session_track", "mysql-plain"}, {"mysql-deprecate_eof-session_track", "mysql-deprecate_eof"},
	} {
		tracked, plain := all[names[0]], all[names[1]]
		compared := 0
		for _, script := range tracked.cases {
			other, ok := plain.find(script.name)
			if !ok {
				continue
			}
			want := map[string][]byte{} // by what was sent, where that is unambiguous
			for _, e := range other.exchanges {
				if _, twice := want[string(e[0])]; twice {
					want[string(e[0])] = nil
					continue
				}
				want[string(e[0])] = e[1]
			}
			seen := tracked.replay(t, script, tracked.caps&^wire.ClientSessionTrack, whole)
			i := 0
			for _, e := range script.exchanges {
				if len(e[1]) == 0 {
					continue
				}
				got := seen[i]
				i++
				w := want[string(e[0])]
				if len(w) == 0 || len(e[0]) <= wire.HeaderSize || e[0][wire.HeaderSize] != wire.ComQuery {
					continue
				}
				compared++
				if !bytes.Equal(got, w) {
					t.Errorf("%s, %.60q: %x, want %x", tracked.name, e[0], got, w)
				}
			}
		}
		if compared < 100 {
			t.Errorf("%s: only %d answers were compared", tracked.name, compared)
		}
	}
}

// each gives every exchange once.
func (c *conversation) each(fn func(sent, answer []byte)) {
	seen := map[string]bool{}
	for _, s := range c.cases {
		for _, e := range s.exchanges {
			if key := string(e[0]) + string(e[1]); !seen[key] {
				seen[key] = true
				fn(e[0], e[1])
			}
		}
	}
}

func (c *conversation) find(name string) (captured, bool) {
	for _, s := range c.cases {
		if s.name == name {
			return s, true
		}
	}
	return captured{}, false
}
