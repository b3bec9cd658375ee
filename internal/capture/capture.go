package capture

import (
	"bufio"
	"compress/gzip"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Conversation is one file: what was said on one connection after the other, by a client with the same features.
type Conversation struct {
	Name  string // of the file, without its extension: flavour and features
	Caps  uint64 // capability flags
	Cases []Case
}

// Case is one thing that was tried.
type Case struct {
	Name      string
	Exchanges []Exchange
}

// Exchange is what was sent and what came back; either may be empty. Both are whole packets.
type Exchange struct{ Sent, Answer []byte }

// Read reads the files of a directory that match a pattern of path/filepath.
func Read(t testing.TB, pattern string) (list []Conversation) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures at %s: %v", pattern, err)
	}
	for _, name := range files {
		c, err := readFile(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list = append(list, c)
	}
	return list
}

func readFile(name string) (c Conversation, err error) {
	f, err := os.Open(name)
	if err != nil {
		return c, err
	}
	defer func() { _ = f.Close() }()
	var text io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if text, err = gzip.NewReader(f); err != nil {
			return c, err
		}
	}
	c.Name, _, _ = strings.Cut(filepath.Base(name), ".")
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if err := c.add(lines.Text()); err != nil {
			return c, err
		}
	}
	return c, lines.Err()
}

func (c *Conversation) add(line string) (err error) {
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "caps":
		c.Caps, err = strconv.ParseUint(rest, 16, 64)
		return err
	case "case":
		c.Cases = append(c.Cases, Case{Name: rest})
		return nil
	}
	b, err := hex.DecodeString(rest)
	if err != nil {
		return err
	}
	last := &c.Cases[len(c.Cases)-1]
	if kind == ">" {
		last.Exchanges = append(last.Exchanges, Exchange{Sent: b})
	} else {
		last.Exchanges[len(last.Exchanges)-1].Answer = b
	}
	return nil
}

// Each calls fn with every exchange.
func (c *Conversation) Each(fn func(e Exchange)) {
	for _, k := range c.Cases {
		for _, e := range k.Exchanges {
			fn(e)
		}
	}
}

// Payloads cuts packets into their payloads; one that is not whole is left out.
func Payloads(b []byte) (list [][]byte) {
	for len(b) >= 4 {
		n := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		if len(b) < 4+n {
			break
		}
		list = append(list, b[4:4+n])
		b = b[4+n:]
	}
	return list
}
