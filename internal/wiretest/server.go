package wiretest

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/wire"
)

// Capabilities are those of the scripted server.
const Capabilities = wire.ClientMySQL | wire.ClientLongFlag | wire.ClientConnectWithDB | wire.ClientProtocol41 |
	wire.ClientTransactions | wire.ClientSecureConnection | wire.ClientMultiStatements | wire.ClientMultiResults |
	wire.ClientPSMultiResults | wire.ClientPluginAuth | wire.ClientPluginAuthLenEncClientData |
	wire.ClientSessionTrack | wire.ClientDeprecateEOF

// Reply is how the server answers a statement.
type Reply uint8

// The replies.
const (
	// Answer is an OK, or a result set of one row with the server's name for a SELECT.
	Answer Reply = iota
	// Hang answers nothing until the connection is closed.
	Hang
	// Die closes the connection without an answer.
	Die
	// DieInRows closes it in the middle of a result set.
	DieInRows
	// Garbage answers with bytes that are no response.
	Garbage
)

// Server is a scripted server on a loopback port.
type Server struct {
	Name     string
	listener net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex
	conns  map[*peer]bool   // guarded by mu
	script map[string]Reply // guarded by mu; by statement text
	heard  []string         // guarded by mu
	notify chan struct{}    // guarded by mu; closed at each statement
	caps   wire.Capability  // guarded by mu
	poses  string           // guarded by mu; the version it claims to be
	nextID uint32           // guarded by mu
	mute   bool             // guarded by mu; accept and say nothing
	silent string           // guarded by mu; statements that begin so are left unanswered
}

// peer is one connection of the server.
type peer struct {
	server *Server
	conn   net.Conn
	pc     *wire.PacketConn
	status wire.Status
}

// Start runs a server until the test ends.
func Start(t testing.TB, name string) *Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		Name: name, listener: ln, conns: map[*peer]bool{}, script: map[string]Reply{}, notify: make(chan struct{}), caps: Capabilities,
		poses: "8.0.99-scripted",
	}
	s.wg.Add(1)
	go s.accept()
	t.Cleanup(s.Close)
	return s
}

// Addr is the server's host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close ends the server and its connections.
func (s *Server) Close() {
	_ = s.listener.Close()
	s.Cut()
	s.wg.Wait()
}

// Cut closes all present connections; new ones are accepted.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.conns {
		_ = p.conn.Close()
	}
}

// On sets the reply to a statement.
func (s *Server) On(sql string, r Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script[sql] = r
}

// Mute makes the server accept connections and not greet them until it ends.
func (s *Server) Mute(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute = on
}

// Silence makes the server leave statements unanswered that begin with prefix; "" ends that.
func (s *Server) Silence(prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = prefix
}

// Pose makes later greetings claim to come from a server of that version.
func (s *Server) Pose(version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poses = version
}

// Forget takes capabilities from the server's greeting.
func (s *Server) Forget(c wire.Capability) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.caps &^= c
}

// Heard counts how often a statement has arrived.
func (s *Server) Heard(sql string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.heard {
		if h == sql {
			n++
		}
	}
	return n
}

// Conns is the number of open connections.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Await waits until a statement has arrived; the test's own timeout bounds it.
func (s *Server) Await(sql string) {
	for {
		s.mu.Lock()
		next := s.notify
		found := slices.Contains(s.heard, sql)
		s.mu.Unlock()
		if found {
			return
		}
		<-next
	}
}

func (s *Server) accept() {
	defer s.wg.Done()
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		p := &peer{server: s, conn: conn, pc: wire.NewPacketConn(conn), status: wire.StatusAutocommit}
		s.mu.Lock()
		s.conns[p] = true
		s.nextID++
		id, caps, poses := s.nextID, s.caps, s.poses
		s.wg.Add(1)
		s.mu.Unlock()
		go func() {
			defer s.wg.Done()
			if p.mayGreet() {
				p.run(id, caps, poses)
			}
			_ = conn.Close()
			s.mu.Lock()
			delete(s.conns, p)
			s.mu.Unlock()
		}()
	}
}

// mayGreet waits while the server is mute. It is false when the client does not wait that long.
func (p *peer) mayGreet() bool {
	for {
		p.server.mu.Lock()
		mute := p.server.mute
		p.server.mu.Unlock()
		if !mute {
			return p.conn.SetReadDeadline(time.Time{}) == nil
		}
		_ = p.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := p.conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
	}
}

func (p *peer) run(id uint32, caps wire.Capability, version string) {
	g := wire.Greeting{
		Version: version, ConnID: id, Salt: [wire.SaltLen]byte([]byte("abcdefghijklmnopqrst")), Capabilities: caps,
		Charset: 45, Status: wire.StatusAutocommit, AuthPlugin: "mysql_native_password",
	}
	if p.pc.WritePacket(g.AppendTo(nil)) != nil {
		return
	}
	if _, err := p.pc.ReadPacket(); err != nil {
		return
	}
	if p.pc.WritePacket(p.ok(0)) != nil {
		return
	}
	for {
		command, err := p.read()
		if err != nil || len(command) == 0 || command[0] == wire.ComQuit || !p.answer(command) {
			return
		}
	}
}

// read gives the next command, of up to 16 MiB; the sequence goes on behind it.
func (p *peer) read() ([]byte, error) {
	var header [wire.HeaderSize]byte
	if _, err := io.ReadFull(p.conn, header[:]); err != nil {
		return nil, err
	}
	command := make([]byte, wire.PayloadLen(header[:]))
	_, err := io.ReadFull(p.conn, command)
	p.pc.SetSequence(header[3] + 1)
	return command, err
}

func (p *peer) ok(head byte) []byte {
	return []byte{head, 0, 0, byte(p.status), byte(p.status >> 8), 0, 0}
}

// answer replies to one command; false ends the connection.
func (p *peer) answer(command []byte) bool {
	sql := string(command[1:])
	reply := p.server.hear(sql)
	switch reply {
	case Hang:
		_, _ = p.conn.Read(make([]byte, 1))
		return false
	case Die:
		return false
	case Garbage:
		_, _ = p.conn.Write([]byte{3, 0, 0, 1, 0xFC, 0, 0})
		return false
	case Answer, DieInRows:
	}
	word, _, _ := strings.Cut(sql, " ")
	switch strings.ToUpper(word) {
	case "BEGIN":
		p.status |= wire.StatusInTrans
	case "COMMIT", "ROLLBACK":
		p.status &^= wire.StatusInTrans
	case "SELECT":
		return p.rows(reply == DieInRows)
	}
	return p.pc.WritePacket(p.ok(0)) == nil
}

func (p *peer) rows(cut bool) bool {
	def := []byte{3, 'd', 'e', 'f', 0, 0, 0, 4, 'n', 'a', 'm', 'e', 0, 12, 45, 0, 255, 0, 0, 0, 0xFD, 0, 0, 0, 0, 0}
	for _, payload := range [][]byte{{1}, def, wire.AppendLenEncBytes(nil, []byte(p.server.Name)), p.ok(wire.HeaderEOF)} {
		if cut && payload[0] == wire.HeaderEOF {
			return false
		}
		if p.pc.WritePacket(payload) != nil {
			return false
		}
	}
	return true
}

// hear notes a statement and gives the reply to it.
func (s *Server) hear(sql string) Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, sql)
	close(s.notify)
	s.notify = make(chan struct{})
	if s.silent != "" && strings.HasPrefix(sql, s.silent) {
		return Hang
	}
	return s.script[sql]
}
