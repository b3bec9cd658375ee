package integration

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

// raw is a client connection without TLS on which tests write packets of their own.
type raw struct {
	t    *testing.T
	conn net.Conn
	seq  byte
	salt []byte
	id   uint32
	// path is how caching_sha2_password was done: fast, or full by RSA key.
	path string
	// offered is what the greeting offers.
	offered wire.Capability
}

const rawCapabilities = wire.ClientMySQL | wire.ClientLongFlag | wire.ClientConnectWithDB | wire.ClientProtocol41 | wire.ClientTransactions |
	wire.ClientSecureConnection | wire.ClientMultiResults | wire.ClientPSMultiResults | wire.ClientPluginAuth | wire.ClientDeprecateEOF |
	wire.ClientLocalFiles

// connectRaw opens a connection and reads the greeting.
func connectRaw(t *testing.T, addr string) (*raw, wire.Greeting) {
	t.Helper()
	return connectRawAfter(t, addr, nil)
}

func connectRawAfter(t *testing.T, addr string, header []byte) (*raw, wire.Greeting) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write(header); err != nil {
		t.Fatal(err)
	}
	r := &raw{t: t, conn: conn}
	r.limit()
	g, err := wire.ParseGreeting(r.receive())
	if err != nil {
		t.Fatal(err)
	}
	r.salt, r.id, r.offered = slices.Clone(g.Salt[:]), g.ConnID, g.Capabilities
	return r, g
}

// dialRaw logs in as the application.
func dialRaw(t *testing.T, addr string) *raw {
	t.Helper()
	return loginRaw(t, addr, mysqltest.AppUser, mysqltest.AppPassword)
}

func loginRaw(t *testing.T, addr, user, password string) *raw {
	t.Helper()
	return loginRawAfter(t, addr, user, password, nil)
}

// loginRawAfter logs in behind a header of the PROXY protocol.
func loginRawAfter(t *testing.T, addr, user, password string, header []byte) *raw {
	t.Helper()
	r, g := connectRawAfter(t, addr, header)
	response := wire.HandshakeResponse{
		Capabilities: rawCapabilities & (g.Capabilities | wire.ClientMySQL), MaxPacket: 1 << 30, Charset: 45, User: user,
		Auth: scramble(g.AuthPlugin, password, r.salt), Database: "app", Plugin: g.AuthPlugin,
	}
	r.write(response.AppendTo(nil))
	r.prove(password)
	return r
}

func scramble(plugin, password string, salt []byte) []byte {
	if plugin == "caching_sha2_password" {
		return gomysql.CalcCachingSha2Password(salt, []byte(password))
	}
	return gomysql.CalcNativePassword(salt, []byte(password))
}

// prove goes through the rest of a login or change of user that has to succeed.
func (r *raw) prove(password string) {
	r.t.Helper()
	if p := r.answer(password); p[0] != 0 {
		r.t.Fatalf("login: %q", p)
	}
}

// answer goes through the rest of a login or change of user and gives the OK or ERR at its end.
func (r *raw) answer(password string) []byte {
	r.t.Helper()
	for {
		p := r.receive()
		switch {
		case p[0] == 0xfe:
			end := slices.Index(p, 0)
			plugin, salt := string(p[1:end]), p[end+1:]
			if plugin == "client_ed25519" {
				signature, err := gomysql.CalcEd25519Password(salt[:32], password)
				if err != nil {
					r.t.Fatal(err)
				}
				r.write(signature)
				break
			}
			r.salt = slices.Clone(salt[:wire.SaltLen])
			if plugin == "sha256_password" {
				r.write([]byte{1})
				r.write(r.encrypted(r.receive(), password))
				break
			}
			r.write(scramble(plugin, password, r.salt))
		case p[0] == 1 && p[1] == 3:
			r.path = "fast"
		case p[0] == 1 && p[1] == 4:
			r.path = "rsa"
			r.write([]byte{2})
			r.write(r.encrypted(r.receive(), password))
		default:
			return p
		}
	}
}

func (r *raw) encrypted(key []byte, password string) []byte {
	r.t.Helper()
	block, _ := pem.Decode(key[1:])
	if block == nil {
		r.t.Fatalf("no key in % x", key)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := gomysql.EncryptPassword(password, r.salt, public.(*rsa.PublicKey))
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func (r *raw) limit() { _ = r.conn.SetDeadline(time.Now().Add(30 * time.Second)) }

// write sends one payload of less than 16 MB as the next packet.
func (r *raw) write(payload []byte) {
	r.t.Helper()
	head := []byte{byte(len(payload)), byte(len(payload) >> 8), byte(len(payload) >> 16), r.seq}
	r.seq++
	if _, err := r.conn.Write(append(head, payload...)); err != nil {
		r.t.Fatal(err)
	}
}

// send writes one command.
func (r *raw) send(payload ...byte) {
	r.t.Helper()
	r.limit()
	r.seq = 0
	r.write(payload)
}

// receive reads one packet.
func (r *raw) receive() []byte {
	r.t.Helper()
	p, err := r.read()
	if err != nil {
		r.t.Fatalf("reading a packet: %v", err)
	}
	return p
}

func (r *raw) read() ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r.conn, head); err != nil {
		return nil, err
	}
	if head[3] != r.seq {
		return nil, fmt.Errorf("packet number %d, want %d", head[3], r.seq)
	}
	r.seq++
	p := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
	_, err := io.ReadFull(r.conn, p)
	return p, err
}

// wantOK reads the answer to a command that has no result.
func (r *raw) wantOK(what string) {
	r.t.Helper()
	if p := r.receive(); p[0] != 0 {
		r.t.Fatalf("%s: answer %q", what, p)
	}
}

// receiveEOF reads the packet that old servers send behind definitions.
func (r *raw) receiveEOF() {
	r.t.Helper()
	if r.offered.Has(wire.ClientDeprecateEOF) {
		return
	}
	if p := r.receive(); p[0] != 0xfe || len(p) != 5 {
		r.t.Fatalf("behind definitions: %q", p)
	}
}

// exec runs a statement that has no result.
func (r *raw) exec(query string) {
	r.t.Helper()
	r.send(append([]byte{wire.ComQuery}, query...)...)
	r.wantOK(query)
}

// text runs a query of one column and gives its rows.
func (r *raw) text(query string) (rows []string) {
	r.t.Helper()
	r.send(append([]byte{wire.ComQuery}, query...)...)
	if p := r.receive(); len(p) != 1 || p[0] != 1 {
		r.t.Fatalf("%s: %q", query, p)
	}
	r.receive() // the column
	r.receiveEOF()
	for {
		p := r.receive()
		if p[0] == 0xfe && len(p) < 0xffffff || p[0] == 0xff {
			return rows
		}
		rows = append(rows, string(p[1:]))
	}
}

// prepare gives the statement's id.
func (r *raw) prepare(query string) uint32 {
	r.t.Helper()
	r.send(append([]byte{wire.ComStmtPrepare}, query...)...)
	p := r.receive()
	if p[0] != 0 {
		r.t.Fatalf("prepare %q: %q", query, p)
	}
	for _, n := range []uint16{binary.LittleEndian.Uint16(p[5:]), binary.LittleEndian.Uint16(p[7:])} {
		for range n {
			r.receive()
		}
		if n > 0 {
			r.receiveEOF()
		}
	}
	return binary.LittleEndian.Uint32(p[1:])
}

// execute runs a statement with one parameter given as string; withType says whether its type is sent too. The answer
// is the only column of the only row.
func (r *raw) execute(id uint32, value string, withType bool) string {
	r.t.Helper()
	b := binary.LittleEndian.AppendUint32([]byte{wire.ComStmtExecute}, id)
	b = append(b, 0, 1, 0, 0, 0, 0)
	if withType {
		b = append(b, 1, gomysql.MYSQL_TYPE_VAR_STRING, 0)
	} else {
		b = append(b, 0)
	}
	r.send(append(append(b, byte(len(value))), value...)...)
	if p := r.receive(); p[0] == 0xff {
		r.t.Fatalf("execute, with type %v: %q", withType, p)
	}
	r.receive() // the column
	r.receiveEOF()
	row := r.receive()
	r.receive()            // the end of the rows
	return string(row[3:]) // after header, null bitmap and length
}
