package integration

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"testing"

	"github.com/onewriter/onewriter/internal/wire"
)

// packet is one packet of a server.
type packet struct {
	seq     byte
	payload []byte
}

// exchange is what was sent at once and what came back for it.
type exchange struct {
	sent   []byte // packets with their headers; nil for a further part of an answer
	answer []packet
}

// talk is a connection on which the same script is run three times: directly at a server, which shows what the answers
// are; through the proxy, command by command; and through the proxy with a further command sent behind each one before
// its answer was read. What comes back has to be the same.
type talk struct {
	*raw
	t      *testing.T
	caps   wire.Capability
	follow []exchange // the answers to read as many packets of; nil to find the end by a marker
	log    []exchange
	bare   bool // results come without definitions
}

const marker = "onewriter-marker"

// offeredBy is what a server offers.
func offeredBy(t *testing.T, addr string) wire.Capability {
	t.Helper()
	_, g := connectRaw(t, addr)
	return g.Capabilities
}

// loginWith logs in with exactly the given features and starts the compression among them.
func loginWith(t *testing.T, addr, user, password string, caps wire.Capability) *talk {
	t.Helper()
	r, g := connectRaw(t, addr)
	if missing := caps &^ g.Capabilities &^ wire.ClientMySQL; missing != 0 {
		t.Fatalf("%s does not offer %#x", addr, uint64(missing))
	}
	response := wire.HandshakeResponse{
		Capabilities: caps, MaxPacket: 1 << 30, Charset: 45, User: user,
		Auth: scramble(g.AuthPlugin, password, r.salt), Database: "app", Plugin: g.AuthPlugin, ZstdLevel: 3,
	}
	r.write(response.AppendTo(nil))
	r.prove(password)
	if a := caps.Compression(); a != wire.Uncompressed {
		r.conn = wire.NewCompressed(r.conn, a, 0, false)
	}
	return &talk{raw: r, t: t, caps: caps}
}

// framed cuts a payload into packets, numbered from seq on.
func framed(seq byte, payload []byte) (b []byte) {
	for {
		n := min(len(payload), wire.MaxPayload)
		b = wire.AppendPacket(b, seq, payload[:n])
		seq++
		if payload = payload[n:]; n < wire.MaxPayload {
			return b
		}
	}
}

// query gives the payload of a COM_QUERY, with no attributes where these are agreed.
func (c *talk) query(sql string) []byte {
	p := []byte{wire.ComQuery}
	if c.caps.Has(wire.ClientQueryAttributes) {
		p = append(p, 0, 1)
	}
	return append(p, sql...)
}

// put sends bytes as they are.
func (c *talk) put(b []byte) {
	c.t.Helper()
	c.limit()
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// do sends a command and reads its answer.
func (c *talk) do(payload ...byte) []packet {
	c.t.Helper()
	b := framed(0, payload)
	sent := b[:len(b):len(b)]
	c.seq = byte(len(payload)/wire.MaxPayload + 1)
	if c.follow == nil {
		b = append(b, framed(0, c.query("SELECT '"+marker+"'"))...)
	}
	c.put(b)
	return c.finish(sent)
}

func (c *talk) sql(text string) []packet {
	c.t.Helper()
	return c.do(c.query(text)...)
}

// mute sends a command that has no answer.
func (c *talk) mute(payload ...byte) {
	c.t.Helper()
	b := framed(0, payload)
	c.put(b)
	c.log = append(c.log, exchange{sent: b})
}

// finish reads an answer to its end.
func (c *talk) finish(sent []byte) []packet {
	c.t.Helper()
	e := exchange{sent: sent}
	if c.follow != nil {
		if len(c.log) >= len(c.follow) {
			c.t.Fatal("the script went another way than at the server")
		}
		for range c.follow[len(c.log)].answer {
			e.answer = append(e.answer, c.next())
		}
	} else {
		e.answer = c.untilMarker()
	}
	c.log = append(c.log, e)
	return e.answer
}

// part reads the next n packets, in the middle of an exchange.
func (c *talk) part(n int, sent []byte) []packet {
	c.t.Helper()
	e := exchange{sent: sent}
	for range n {
		e.answer = append(e.answer, c.next())
	}
	c.log = append(c.log, e)
	return e.answer
}

func (c *talk) next() packet {
	c.t.Helper()
	seq, p, err := c.any()
	if err != nil {
		c.t.Fatalf("step %d: reading a packet: %v", len(c.log), err)
	}
	if seq != c.seq {
		c.t.Errorf("step %d: packet number %d, want %d: %.80q", len(c.log), seq, c.seq, p)
	}
	c.seq = seq + 1
	return packet{seq, p}
}

// any reads one packet, whatever its number.
func (c *talk) any() (byte, []byte, error) {
	head := make([]byte, wire.HeaderSize)
	if _, err := io.ReadFull(c.conn, head); err != nil {
		return 0, nil, err
	}
	p := make([]byte, wire.PayloadLen(head))
	_, err := io.ReadFull(c.conn, p)
	return head[3], p, err
}

// untilMarker reads until the answer to the marker's query has come, and gives what came before that.
func (c *talk) untilMarker() (list []packet) {
	c.t.Helper()
	row := wire.AppendLenEncBytes(nil, []byte(marker))
	for {
		seq, p, err := c.any()
		if err != nil {
			c.t.Fatalf("step %d, after %d packets: %v", len(c.log), len(list), err)
		}
		list = append(list, packet{seq, p})
		if bytes.Equal(p, row) {
			break
		}
	}
	if _, _, err := c.any(); err != nil { // the terminator
		c.t.Fatal(err)
	}
	before := 3 // count, column, row
	if c.bare {
		before--
	}
	if !c.caps.Has(wire.ClientDeprecateEOF) {
		before++
	}
	list = list[:len(list)-before]
	for _, p := range list {
		if p.seq != c.seq {
			c.t.Errorf("step %d: packet number %d, want %d: %.80q", len(c.log), p.seq, c.seq, p.payload)
		}
		c.seq = p.seq + 1
	}
	return list
}

// closed reads until the connection ends.
func (c *talk) closed() (list []packet) {
	c.t.Helper()
	for {
		seq, p, err := c.any()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				c.t.Fatalf("the connection is not closed: %v", err)
			}
			return list
		}
		list = append(list, packet{seq, p})
	}
}

// statement gives the payload of a command about the statement with the given id.
func statement(code byte, id uint32, rest ...byte) []byte {
	return append(binary.LittleEndian.AppendUint32([]byte{code}, id), rest...)
}

// id is the id in the answer to COM_STMT_PREPARE.
func (c *talk) id(answer []packet) uint32 {
	c.t.Helper()
	if len(answer) == 0 || answer[0].payload[0] != wire.HeaderOK {
		c.t.Fatalf("prepare: %q", answer)
	}
	return binary.LittleEndian.Uint32(answer[0].payload[1:])
}

// executing gives the payload of COM_STMT_EXECUTE. Values are strings; types says whether their type is sent too.
func (c *talk) executing(id uint32, flags byte, types bool, values ...string) []byte {
	attributes := c.caps.Has(wire.ClientQueryAttributes)
	b := statement(wire.ComStmtExecute, id, flags, 1, 0, 0, 0)
	if len(values) == 0 {
		return b
	}
	if attributes && flags&8 != 0 { // PARAMETER_COUNT_AVAILABLE
		b = append(b, byte(len(values)))
	}
	b = append(b, make([]byte, (len(values)+7)/8)...)
	if !types {
		b = append(b, 0)
	} else {
		b = append(b, 1)
		for range values {
			b = append(b, 0xfd, 0) // VAR_STRING
			if attributes && flags&8 != 0 {
				b = append(b, 0) // no name
			}
		}
	}
	for _, v := range values {
		b = wire.AppendLenEncBytes(b, []byte(v))
	}
	return b
}

// same compares what two runs of a script brought.
func same(t *testing.T, name string, tracks bool, want, got []exchange, differs func(step int, p packet) bool) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("%s: %d exchanges, want %d", name, len(got), len(want))
		return
	}
	for i := range want {
		if len(want[i].answer) != len(got[i].answer) {
			t.Errorf("%s, step %d: %d packets, want %d", name, i, len(got[i].answer), len(want[i].answer))
		}
		for j := range min(len(want[i].answer), len(got[i].answer)) {
			w, g := want[i].answer[j], got[i].answer[j]
			if differs != nil && differs(i, w) && differs(i, g) {
				continue
			}
			if w.seq != g.seq || !(tracks && sameState(w, g)) && !bytes.Equal(withoutID(want[i].sent, w), withoutID(got[i].sent, g)) {
				t.Errorf("%s, step %d (%.60q), packet %d:\n%s, want\n%s", name, i, sentText(want[i].sent), j, abbreviated(g), abbreviated(w))
			}
		}
	}
}

var handler = regexp.MustCompile(`statement (handler )?\(\d+\)`)

// withoutID takes the ids of statements out, which MariaDB counts for all connections together.
func withoutID(sent []byte, p packet) []byte {
	switch {
	case len(p.payload) == 0: // the end of a payload that filled its packets
		return nil
	case len(p.payload) >= 12 && len(p.payload) <= 13 && p.seq == 1 && p.payload[0] == wire.HeaderOK && sent != nil && sent[wire.HeaderSize] == wire.ComStmtPrepare:
		return p.payload[5:]
	case len(p.payload) == 5 && p.payload[0] == wire.HeaderEOF:
		// An EOF can't tell which state has changed: MariaDB sets the bit for what the proxy tracks as well.
		return append(p.payload[:4:4], p.payload[4]&^0x40)
	case p.payload[0] == wire.HeaderERR:
		return handler.ReplaceAll(p.payload, nil)
	}
	return p.payload
}

// sameState compares two OK packets with session state: the order of the variables is the server's whim, and what MySQL
// reports of transactions although that is off does not count.
func sameState(w, g packet) bool {
	a, err := wire.ParseOK(w.payload)
	b, err2 := wire.ParseOK(g.payload)
	if err != nil || err2 != nil || !a.Status.Has(wire.StatusSessionStateChanged) {
		return false
	}
	entries := func(o *wire.OK) (list []string) {
		r := wire.NewTrackReader(o.Track)
		for e, ok := r.Next(); ok; e, ok = r.Next() {
			if e.Kind != wire.TrackTxnState {
				list = append(list, fmt.Sprintf("%d %s=%s", e.Kind, e.Name, e.Value))
			}
		}
		slices.Sort(list)
		return list
	}
	return a.AffectedRows == b.AffectedRows && a.LastInsertID == b.LastInsertID && a.Warnings == b.Warnings && bytes.Equal(a.Info, b.Info) &&
		(a.Status^b.Status)&^wire.StatusSessionStateChanged == 0 && slices.Equal(entries(&a), entries(&b))
}

func sentText(b []byte) []byte { return b[min(len(b), wire.HeaderSize):min(len(b), 100)] }

func abbreviated(p packet) string {
	return fmt.Sprintf("%d: %d bytes %.120q", p.seq, len(p.payload), p.payload[:min(len(p.payload), 120)])
}
