package faultnet

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// echo answers each line with the same line, on a port that can be listened on again.
type echo struct {
	t    *testing.T
	addr string
	l    net.Listener
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	e := &echo{t: t, addr: "127.0.0.1:0"}
	e.start()
	t.Cleanup(func() { _ = e.l.Close() })
	return e
}

func (e *echo) start() {
	e.t.Helper()
	l, err := net.Listen("tcp", e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	e.l, e.addr = l, l.Addr().String()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); _ = conn.Close() }()
		}
	}()
}

func linkTo(t *testing.T, target string) *Link {
	t.Helper()
	l, err := Listen(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// line is a client that sends lines and expects them back.
type line struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func connect(t *testing.T, l *Link) *line {
	t.Helper()
	conn, err := net.DialTimeout("tcp", l.Addr(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &line{t: t, conn: conn, r: bufio.NewReader(conn)}
}

func (c *line) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, s+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

func (c *line) receive(within time.Duration) (string, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(within))
	s, err := c.r.ReadString('\n')
	return strings.TrimSuffix(s, "\n"), err
}

func (c *line) expect(want string) {
	c.t.Helper()
	if got, err := c.receive(5 * time.Second); err != nil || got != want {
		c.t.Fatalf("received %q, %v; want %q", got, err, want)
	}
}

func (c *line) silent(d time.Duration) {
	c.t.Helper()
	if got, err := c.receive(d); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("received %q, %v; want silence", got, err)
	}
}

func TestRelays(t *testing.T) {
	l := linkTo(t, newEcho(t).addr)
	c := connect(t, l)
	c.send("hello")
	c.expect("hello")
	if err := c.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if s, err := c.receive(5 * time.Second); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %q, %v", s, err)
	}
}

func TestCutDropsAndHealDelivers(t *testing.T) {
	l := linkTo(t, newEcho(t).addr)
	c := connect(t, l)
	c.send("before")
	c.expect("before")
	l.Cut()
	c.send("amid")
	c.silent(200 * time.Millisecond)
	if conn, err := net.DialTimeout("tcp", l.Addr(), 200*time.Millisecond); err == nil {
		_ = conn.Close()
		t.Error("a connection was made across a cut link")
	} else if ne := net.Error(nil); !errors.As(err, &ne) || !ne.Timeout() {
		t.Errorf("connecting across a cut link: %v, want a timeout", err)
	}
	l.Heal()
	c.expect("amid")
	again := connect(t, l)
	again.send("after")
	again.expect("after")
}

// TestCutHidesTheEnd checks that nobody hears across a cut that the other end is gone.
func TestCutHidesTheEnd(t *testing.T) {
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = target.Close() }()
	l := linkTo(t, target.Addr().String())
	c := connect(t, l)
	server, err := target.Accept()
	if err != nil {
		t.Fatal(err)
	}
	l.Cut()
	_ = server.Close()
	c.silent(200 * time.Millisecond)
	l.Heal()
	if s, err := c.receive(5 * time.Second); !errors.Is(err, io.EOF) {
		t.Errorf("after Heal: %q, %v", s, err)
	}
}

func TestAttemptSurvivesAShortCut(t *testing.T) {
	l := linkTo(t, newEcho(t).addr)
	l.Cut()
	healed := time.AfterFunc(300*time.Millisecond, l.Heal)
	defer healed.Stop()
	c := connect(t, l) // the kernel tries again after a second
	c.send("late")
	c.expect("late")
}

func TestRejectResetsAndRefuses(t *testing.T) {
	l := linkTo(t, newEcho(t).addr)
	c := connect(t, l)
	c.send("before")
	c.expect("before")
	l.Reject()
	if s, err := c.receive(5 * time.Second); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("an open connection: %q, %v; want a reset", s, err)
	}
	refused(t, l)
	l.Heal()
	again := connect(t, l)
	again.send("after")
	again.expect("after")
}

func refused(t *testing.T, l *Link) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", l.Addr(), 5*time.Second)
	if err == nil {
		_ = conn.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("connecting: %v, want refused", err)
	}
}

// TestImitatesADeadTarget checks that a link to a target that died refuses as the target would, from the moment on
// at which those hear of it who were connected, and that it works again when the target does.
func TestImitatesADeadTarget(t *testing.T) {
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := linkTo(t, target.Addr().String())
	c := connect(t, l)
	server, err := target.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = target.Close()
	_ = server.(*net.TCPConn).SetLinger(0)
	_ = server.Close()
	if s, err := c.receive(5 * time.Second); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection to a killed target: %q, %v; want a reset", s, err)
	}
	refused(t, l)
	e := &echo{t: t, addr: l.target}
	e.start()
	defer func() { _ = e.l.Close() }()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", l.Addr())
		if err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	again := connect(t, l)
	again.send("after")
	again.expect("after")
}

func TestStallEndsByItself(t *testing.T) {
	l := linkTo(t, newEcho(t).addr)
	c := connect(t, l)
	l.Stall(400 * time.Millisecond)
	c.send("stalled")
	fresh := connect(t, l)
	fresh.send("taken")
	c.silent(200 * time.Millisecond)
	c.expect("stalled")
	fresh.expect("taken")
}

func TestDelayAndFragments(t *testing.T) {
	l := linkTo(t, newEcho(t).addr)
	c := connect(t, l)
	l.Fragment(true)
	text := strings.Repeat("0123456789", 1000)
	c.send(text)
	c.expect(text)
	l.Fragment(false)
	l.Trickle(5, 50*time.Microsecond)
	fresh := connect(t, l)
	for range 2 {
		fresh.send("bytes, then pieces")
		fresh.expect("bytes, then pieces")
	}
	l.Trickle(0, 0)
	l.Delay(100 * time.Millisecond)
	began := time.Now()
	c.send("slow")
	c.expect("slow")
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("there and back took %s with a delay of 100ms each way", took)
	}
}

func TestCloseEndsAll(t *testing.T) {
	for name, hinder := range map[string]func(*Link){
		"open": func(*Link) {}, "cut": (*Link).Cut, "stalled": func(l *Link) { l.Stall(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Listen(newEcho(t).addr)
			if err != nil {
				t.Fatal(err)
			}
			c := connect(t, l)
			hinder(l)
			l.Close()
			if _, err := c.receive(5 * time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("after Close: %v", err)
			}
			if _, err := net.DialTimeout("tcp", l.Addr(), time.Second); err == nil {
				t.Error("a closed link takes connections")
			}
		})
	}
}
