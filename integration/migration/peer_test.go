package migration

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

// peerTimeout bounds every exchange.
const peerTimeout = 30 * time.Second

// ordinary are the capabilities of the clients here; the end of a result set is told in either way.
const ordinary = wire.ClientMySQL | wire.ClientLongFlag | wire.ClientConnectWithDB | wire.ClientProtocol41 | wire.ClientTransactions |
	wire.ClientSecureConnection | wire.ClientMultiResults | wire.ClientPSMultiResults | wire.ClientPluginAuth

// peer is a client connection that gives every answer of the server as text, packet by packet.
type peer struct {
	conn    net.Conn
	caps    wire.Capability
	charset uint16
	salt    []byte
	mysql   bool
	seq     byte
	tracker wire.Tracker
	handles map[int]*handle
	last    *handle // prepared last
	status  wire.Status
	lastID  uint64 // the last generated id that an answer named
	// loose are status flags that are not compared any more
	loose wire.Status
}

// handle is a prepared statement of the binary protocol.
type handle struct {
	id     uint32
	params int
	types  []byte // of the last execution that sent them
	long   map[int]bool
	// mysql: no NULLs and no changing types. MySQL keeps the types that a parameter had first and converts later values; a
	// statement that was prepared again has not seen these.
	mysql bool
	// bare: the result's metadata depends on the history of the parameters, and is not compared.
	bare bool
}

// dial logs in.
func dial(addr, user, password, schema string, caps wire.Capability, charset uint16) (*peer, error) {
	conn, err := net.DialTimeout("tcp", addr, peerTimeout)
	if err != nil {
		return nil, err
	}
	p := &peer{conn: conn, charset: charset, handles: map[int]*handle{}}
	if err := p.login(user, password, schema, caps); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("login at %s as %s: %w", addr, user, err)
	}
	return p, nil
}

func (p *peer) login(user, password, schema string, caps wire.Capability) error {
	p.limit()
	payload, err := p.read()
	if err != nil {
		return err
	}
	g, err := wire.ParseGreeting(payload)
	if err != nil {
		return err
	}
	p.salt, p.mysql = slices.Clone(g.Salt[:]), !strings.Contains(g.Version, "MariaDB")
	p.caps = caps & (g.Capabilities | wire.ClientMySQL)
	p.tracker = wire.NewTracker(wire.Features{DeprecateEOF: p.caps.Has(wire.ClientDeprecateEOF)})
	r := wire.HandshakeResponse{
		Capabilities: p.caps, MaxPacket: 1 << 30, Charset: p.loginCharset(), User: user, Auth: scramble(g.AuthPlugin, password, p.salt),
		Database: schema, Plugin: g.AuthPlugin,
	}
	if err := p.write(r.AppendTo(nil)); err != nil {
		return err
	}
	return p.prove(password)
}

func (p *peer) loginCharset() byte {
	if p.charset > math.MaxUint8 {
		return 45
	}
	return byte(p.charset)
}

func scramble(plugin, password string, salt []byte) []byte {
	if plugin == "caching_sha2_password" {
		return gomysql.CalcCachingSha2Password(salt, []byte(password))
	}
	return gomysql.CalcNativePassword(salt, []byte(password))
}

// prove goes through the rest of a login or change of user.
func (p *peer) prove(password string) error {
	for {
		b, err := p.read()
		if err != nil {
			return err
		}
		switch {
		case b[0] == wire.HeaderEOF:
			end := slices.Index(b, 0)
			plugin, salt := string(b[1:end]), b[end+1:]
			p.salt = slices.Clone(salt[:wire.SaltLen])
			err = p.write(scramble(plugin, password, p.salt))
		case b[0] == 1 && b[1] == 3:
		case b[0] == 1 && b[1] == 4:
			if err = p.write([]byte{2}); err == nil {
				err = p.sendEncrypted(password)
			}
		case b[0] == wire.HeaderERR:
			se, err := wire.ParseErr(b)
			return errors.Join(se, err)
		default:
			o, err := wire.ParseOK(b)
			p.status = o.Status
			return err
		}
		if err != nil {
			return err
		}
	}
}

func (p *peer) sendEncrypted(password string) error {
	key, err := p.read()
	if err != nil {
		return err
	}
	block, _ := pem.Decode(key[1:])
	if block == nil {
		return errors.New("no public key")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return err
	}
	out, err := gomysql.EncryptPassword(password, p.salt, public.(*rsa.PublicKey))
	if err != nil {
		return err
	}
	return p.write(out)
}

func (p *peer) close() { _ = p.conn.Close() }

func (p *peer) limit() { _ = p.conn.SetDeadline(time.Now().Add(peerTimeout)) }

func (p *peer) write(payload []byte) error {
	_, err := p.conn.Write(wire.AppendPacket(nil, p.seq, payload))
	p.seq++
	return err
}

func (p *peer) read() ([]byte, error) {
	head := make([]byte, wire.HeaderSize)
	if _, err := io.ReadFull(p.conn, head); err != nil {
		return nil, err
	}
	if head[3] != p.seq {
		return nil, fmt.Errorf("packet number %d, want %d", head[3], p.seq)
	}
	p.seq++
	b := make([]byte, wire.PayloadLen(head))
	_, err := io.ReadFull(p.conn, b)
	return b, err
}

// answer is one packet of a response.
type answer struct {
	mark    wire.Mark // MarkMore: a definition or a row
	payload []byte
}

// command sends a command and reads its response, nil if it has none.
func (p *peer) command(payload ...byte) ([]answer, error) {
	p.limit()
	p.seq = 0
	if err := p.write(payload); err != nil {
		return nil, err
	}
	if !wire.HasResponse(payload[0]) {
		return nil, nil
	}
	p.tracker.Begin(payload[0])
	if payload[0] == wire.ComStmtExecute && payload[5] != 0 {
		p.tracker.AskCursor()
	}
	return p.response()
}

func (p *peer) response() ([]answer, error) {
	var raw []byte
	marks := map[int]wire.Mark{}
	chunk := make([]byte, 64<<10)
	at := 0
	for done := false; !done; {
		n, f := p.tracker.Feed(raw[at:])
		switch f.Mark {
		case wire.MarkMore:
			at += n
			m, err := p.conn.Read(chunk)
			if err != nil {
				return nil, fmt.Errorf("%w after %q", err, raw[max(0, len(raw)-1000):])
			}
			raw = append(raw, chunk[:m]...)
			continue
		case wire.MarkMalformed, wire.MarkInfile:
			return nil, fmt.Errorf("malformed response: %q", raw)
		case wire.MarkOK, wire.MarkEOF, wire.MarkERR, wire.MarkPrepareOK, wire.MarkDone:
			marks[at+f.Start] = f.Mark
		}
		at += n
		done = f.Last
	}
	if at != len(raw) {
		return nil, fmt.Errorf("%d bytes after the end of a response", len(raw)-at)
	}
	var list []answer
	for seq, i := byte(1), 0; i < len(raw); seq++ {
		if raw[i+3] != seq {
			return nil, fmt.Errorf("packet number %d, want %d", raw[i+3], seq)
		}
		end := i + wire.HeaderSize + wire.PayloadLen(raw[i:])
		list = append(list, answer{marks[i], raw[i+wire.HeaderSize : end]})
		i = end
	}
	return list, nil
}

// unstable are status flags that depend on the time a statement took, and that for ANSI_QUOTES, which MariaDB leaves behind
// when a routine sets the mode for itself.
const unstable = wire.StatusSessionStateChanged | 0x8000 | 0x0800 | 0x0020 | 0x0010

// text writes a response down, without what differs between servers.
func (p *peer) text(list []answer) string {
	var b strings.Builder
	for _, a := range list {
		switch a.mark {
		case wire.MarkOK:
			o, err := wire.ParseOK(a.payload)
			if err != nil {
				return err.Error()
			}
			p.status = o.Status
			id := ""
			if o.LastInsertID != 0 {
				p.lastID, id = o.LastInsertID, " id"
			}
			fmt.Fprintf(&b, "OK rows=%d%s status=%04x warnings=%d %s\n", o.AffectedRows, id, uint16(o.Status&^unstable&^p.loose), o.Warnings, o.Info)
		case wire.MarkEOF:
			p.status = wire.Status(binary.LittleEndian.Uint16(a.payload[3:]))
			fmt.Fprintf(&b, "EOF status=%04x warnings=%d\n", uint16(p.status&^unstable&^p.loose), a.payload[1])
		case wire.MarkERR:
			se, err := wire.ParseErr(a.payload)
			if err != nil {
				return err.Error()
			}
			// Statement ids are the server's own in its texts.
			fmt.Fprintf(&b, "ERR %v\n", statementIDs.ReplaceAllString(se.Error(), "(id)"))
		case wire.MarkPrepareOK:
			fmt.Fprintf(&b, "PREPARED %q\n", a.payload[5:])
		case wire.MarkMore, wire.MarkInfile, wire.MarkDone, wire.MarkMalformed:
			fmt.Fprintf(&b, "%q\n", a.payload)
		}
	}
	return b.String()
}

var statementIDs = regexp.MustCompile(`\(\d+\)`)

// rows runs a query of the text protocol and gives its rows, NULL as "NULL".
func (p *peer) rows(sql string) ([][]string, error) {
	list, err := p.command(append([]byte{wire.ComQuery}, sql...)...)
	if err != nil {
		return nil, err
	}
	if list[0].mark == wire.MarkERR {
		return nil, errors.New(strings.TrimSpace(p.text(list)))
	}
	columns := int(list[0].payload[0])
	var out [][]string
	for _, a := range list[1+columns:] {
		if a.mark == wire.MarkMore {
			out = append(out, textRow(a.payload))
		}
	}
	return out, nil
}

func textRow(b []byte) (row []string) {
	for len(b) > 0 {
		if b[0] == 0xFB {
			row, b = append(row, "NULL"), b[1:]
			continue
		}
		s, n, _ := wire.ReadLenEncBytes(b)
		row, b = append(row, strings.ReplaceAll(string(s), "\x00", "")), b[n:] // under character_set_results=ucs2
	}
	return row
}

// unknownVariable is what servers without roles say to SET ROLE NONE: they take it for an assignment.
const unknownVariable = 1193

// changeUser proves to be somebody else.
func (p *peer) changeUser(user, password, schema string) error {
	p.limit()
	p.seq = 0
	plugin := "mysql_native_password"
	u := wire.ChangeUser{User: user, Auth: scramble(plugin, password, p.salt), Database: schema, Charset: p.charset, Plugin: plugin}
	if err := p.write(u.AppendTo(nil, p.caps)); err != nil {
		return err
	}
	p.handles, p.last = map[int]*handle{}, nil
	return p.prove(password)
}

// do runs one step and gives what came back as text.
func (p *peer) do(s step) (string, error) {
	var list []answer
	var err error
	h := p.handles[s.slot]
	switch s.kind {
	case kindQuery:
		if strings.Contains(s.sql, "app.set_mode") { // servers restore the SQL mode behind it, and not the flag that tells of it
			p.loose |= wire.StatusNoBackslashEscapes
		}
		list, err = p.command(append([]byte{wire.ComQuery}, s.sql...)...)
	case kindInitDB:
		list, err = p.command(append([]byte{wire.ComInitDB}, s.sql...)...)
	case kindPing:
		list, err = p.command(wire.ComPing)
	case kindReset:
		list, err = p.command(wire.ComResetConnection)
		p.handles, p.last = map[int]*handle{}, nil
	case kindOption:
		list, err = p.command(wire.ComSetOption, byte(s.slot), 0)
	case kindChangeUser:
		// MariaDB 10.11 leaves the user before its role.
		if list, err = p.command(append([]byte{wire.ComQuery}, "SET ROLE NONE"...)...); err != nil || list[0].mark == wire.MarkERR && binary.LittleEndian.Uint16(list[0].payload[1:]) != unknownVariable {
			return p.text(list), err
		}
		if err := p.changeUser(s.sql, mysqltest.AppPassword, "app"); err != nil {
			return "", err
		}
		return "changed\n", nil
	case kindPrepare:
		if h != nil { // the slot is taken: let go of what is there
			if _, err := p.command(idCommand(wire.ComStmtClose, h.id)...); err != nil {
				return "", err
			}
			delete(p.handles, s.slot)
		}
		list, err = p.command(append([]byte{wire.ComStmtPrepare}, s.sql...)...)
		p.last = nil
		if err == nil && list[0].mark == wire.MarkPrepareOK {
			b := list[0].payload
			p.last = &handle{
				id: binary.LittleEndian.Uint32(b[1:]), params: int(binary.LittleEndian.Uint16(b[7:])), long: map[int]bool{}, mysql: p.mysql,
				bare: strings.Contains(s.sql, "?") && !strings.Contains(s.sql, "WHERE a > ?"),
			}
			p.handles[s.slot] = p.last
		}
	case kindLast:
		if h = p.last; h == nil {
			h = &handle{}
		}
		if h.params > 0 {
			return unsent, nil // MariaDB itself does not read the values rightly
		}
		known := h.id
		h.id = 0xFFFFFFFF
		list, err = p.command(h.execution(s)...)
		h.id = known
	default:
		if h == nil || s.kind == kindExecute && !s.types && h.params > 0 && h.types == nil {
			return unsent, nil // refused in one way or the other
		}
		list, err = p.statement(h, s)
	}
	if err != nil {
		return "", err
	}
	if h != nil && h.bare && len(list) > 2 {
		list = slices.DeleteFunc(list, func(a answer) bool {
			return bytes.HasPrefix(a.payload, []byte("\x03def")) || bytes.HasPrefix(a.payload, []byte("\x06\x00d\x00e\x00f"))
		})
	}
	text := p.text(list)
	if s.kind == kindInitDB || s.kind == kindOption { // it shows the number of warnings of the statement before
		text = warnings.ReplaceAllString(text, "")
	}
	return text, nil
}

var warnings = regexp.MustCompile(` warnings=\d+`)

func idCommand(code byte, id uint32) []byte {
	return binary.LittleEndian.AppendUint32([]byte{code}, id)
}

// unsent is what a step about a statement gives that is not there.
const unsent = "no statement\n"

// statement runs a step about a prepared statement.
func (p *peer) statement(h *handle, s step) ([]answer, error) {
	switch s.kind {
	case kindClose:
		delete(p.handles, s.slot)
		if p.last == h {
			p.last = nil
		}
		return p.command(idCommand(wire.ComStmtClose, h.id)...)
	case kindStmtReset:
		clear(h.long)
		return p.command(idCommand(wire.ComStmtReset, h.id)...)
	case kindFetch:
		return p.command(append(idCommand(wire.ComStmtFetch, h.id), byte(s.count), 0, 0, 0)...)
	case kindLong:
		if h.params == 0 || h.types != nil { // MariaDB mixes up data and values when the type changes
			return nil, nil
		}
		h.long[0] = true
		return p.command(append(append(idCommand(wire.ComStmtSendLongData, h.id), 0, 0), s.sql...)...)
	default:
		return p.command(h.execution(s)...)
	}
}

// execution encodes COM_STMT_EXECUTE with values made from s.count. Without s.types the server has to remember the types.
func (h *handle) execution(s step) []byte {
	var flags byte
	if s.cursor {
		flags = 1
	}
	b := append(idCommand(wire.ComStmtExecute, h.id), flags, 1, 0, 0, 0)
	if h.params == 0 {
		return b
	}
	nulls := make([]byte, (h.params+7)/8)
	if s.types {
		h.types = h.types[:0]
		for i := range h.params {
			t := valueTypes[(s.count+i)%len(valueTypes)]
			switch {
			case h.mysql:
				t = valueTypes[(1+i)%len(valueTypes)] // strings can be sent as long data
			case h.long[i]:
				t = gomysql.MYSQL_TYPE_BLOB
			}
			h.types = append(h.types, t, 0)
		}
	}
	var values []byte
	for i := range h.params {
		switch {
		case h.long[i]:
		case (s.count+i)%5 == 4 && !h.mysql:
			nulls[i/8] |= 1 << (i % 8)
		default:
			values = appendValue(values, h.typeOf(i), s.count+i)
		}
	}
	clear(h.long)
	b = append(b, nulls...)
	if s.types {
		b = append(append(b, 1), h.types...)
	} else {
		b = append(b, 0)
	}
	return append(b, values...)
}

var valueTypes = []byte{gomysql.MYSQL_TYPE_LONGLONG, gomysql.MYSQL_TYPE_VAR_STRING, gomysql.MYSQL_TYPE_LONG, gomysql.MYSQL_TYPE_DOUBLE}

func (h *handle) typeOf(i int) byte {
	if len(h.types) > 2*i {
		return h.types[2*i]
	}
	return gomysql.MYSQL_TYPE_LONGLONG
}

func appendValue(b []byte, t byte, n int) []byte {
	switch t {
	case gomysql.MYSQL_TYPE_LONG:
		return binary.LittleEndian.AppendUint32(b, uint32(n))
	case gomysql.MYSQL_TYPE_LONGLONG:
		return binary.LittleEndian.AppendUint64(b, uint64(n))
	case gomysql.MYSQL_TYPE_DOUBLE:
		return binary.LittleEndian.AppendUint64(b, 0x3FF8000000000000) // 1.5
	default:
		return wire.AppendLenEncBytes(b, []byte("v"+strconv.Itoa(n)))
	}
}
