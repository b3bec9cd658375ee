package wire

import "bytes"

// streams are the numbers of a connection on which both sides speak when they like. Each direction has its own.
type streams struct {
	out  numbers          // of the next packet that is written; owned by the writer
	in   numbers          // of the next packet that is read; owned by the reader
	rest [HeaderSize]byte // the beginning of a header whose number has not come yet
	held int              // bytes of rest

	anew byte // the number of a server's compressed packet that begins anew
}

// classicAnew is the number of a server's classic packet that begins anew, without compression.
const classicAnew = 1

// Stream says that from now on, until the connection ends, both sides speak when they like, as in a dump of the binary log
// to a replica that acknowledges transactions. The directions do not number on from each other then, and each begins
// anew in its own way: a replica with each acknowledgement (0), a server behind each packet that wants to be acknowledged: in
// the classic protocol with 1, with compression MariaDB 10.11 with 1 as well, MySQL 9.7 with 0, which mysql tells.
func (c *Compressed) Stream(mysql bool) {
	n := unpack(c.numbers.Load())
	n.peer, n.goesOn = true, false // nothing begins an answer any more
	c.shift = 0
	c.streams = &streams{out: n, in: n, anew: 1}
	if mysql {
		c.streams.anew = 0
	}
}

func (c *Compressed) sending() numbers {
	if c.streams != nil {
		return c.streams.out
	}
	return unpack(c.numbers.Load())
}

func (c *Compressed) sent(n numbers) {
	if c.streams != nil {
		c.streams.out = n
		return
	}
	c.numbers.Store(n.pack())
}

// renumberStream gives the packets of a server that began anew the numbers that they would have without compression. Those
// of a client have them.
func (c *Compressed) renumberStream(p []byte) {
	n := &c.streams.in
	if c.first {
		if c.number != n.outer {
			n.inner = classicAnew
		}
		n.outer = c.number + 1
		c.first = false
	}
	for len(p) > 0 {
		m, at := c.in.next(p)
		if at >= 0 && !c.toClient {
			p[at] = n.inner
			n.inner++
		}
		p = p[m:]
	}
}

// writeStream keeps the beginning of a header until its number is there.
func (c *Compressed) writeStream(p []byte) (int, error) {
	s := c.streams
	taken := len(p)
	if s.held > 0 {
		p = append(bytes.Clone(s.rest[:s.held]), p...)
		s.held = 0
	}
	w := c.out
	for at := 0; at < len(p); {
		if len(p)-at < HeaderSize && w.atHeader() {
			s.held = copy(s.rest[:], p[at:])
			p = p[:at]
			break
		}
		n, _ := w.next(p[at:])
		at += n
	}
	if len(p) == 0 {
		return taken, nil
	}
	if _, err := c.write(p); err != nil {
		return 0, err
	}
	return taken, nil
}

// pieceOfStream is piece where the classic packets may begin anew: that begins a compressed packet.
func (c *Compressed) pieceOfStream(p []byte, n *numbers) int {
	size := 0
	for size < len(p) {
		if c.out.atHeader() && len(p)-size >= HeaderSize && p[size+HeaderSize-1] != n.inner {
			if size > 0 {
				break
			}
			n.outer, n.inner = 0, p[HeaderSize-1]
			if c.toClient {
				n.outer = c.streams.anew
			}
		}
		m, at := c.out.next(p[size:])
		if at >= 0 {
			n.inner = p[size+at] + 1
		}
		size += m
	}
	return size
}
