package faultnet

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// pipe is one connection and its continuation to the target.
type pipe struct {
	client *net.TCPConn
	once   sync.Once
	gone   chan struct{} // closed by reset

	mu     sync.Mutex
	server *net.TCPConn // nil until connected
}

// relay serves one connection until both ends are done with it.
func (l *Link) relay(client *net.TCPConn) {
	p := &pipe{client: client, gone: make(chan struct{})}
	if !l.enter(p) {
		p.reset()
		return
	}
	defer l.leave(p)
	if !l.pass(p) {
		return
	}
	server, err := l.dial(p)
	if err != nil || !p.attach(server) {
		p.reset()
		return
	}
	var both sync.WaitGroup
	both.Go(func() { l.copy(p, server, client, false) })
	both.Go(func() { l.copy(p, client, server, true) })
	both.Wait()
	p.close()
}

func (l *Link) enter(p *pipe) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.mode == rejecting {
		return false
	}
	l.pipes[p] = struct{}{}
	return true
}

func (l *Link) leave(p *pipe) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pipes, p)
	p.close()
}

// dial connects to the target. Once that refuses, so does the link.
func (l *Link) dial(p *pipe) (*net.TCPConn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	go func() {
		select {
		case <-p.gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", l.target)
	if errors.Is(err, syscall.ECONNRESET) { // it took the connection and died at once
		l.check()
	}
	if err != nil {
		l.lost(err)
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// copy carries data one way until there is no more. An end is passed on as it came: closed or reset.
func (l *Link) copy(p *pipe, to, from *net.TCPConn, fromTarget bool) {
	buf := make([]byte, 64<<10)
	for sent, n := 0, 0; ; sent += n {
		var err error
		n, err = from.Read(buf)
		if !l.pass(p) {
			return
		}
		if n > 0 && l.write(p, to, buf[:n], sent) != nil {
			p.reset()
			return
		}
		if err == nil {
			continue
		}
		if fromTarget {
			l.check()
		}
		if errors.Is(err, io.EOF) {
			_ = to.CloseWrite()
		} else {
			p.reset()
		}
		return
	}
}

// pass waits until the link lets data through; false means that the connection is over.
func (l *Link) pass(p *pipe) bool {
	for {
		l.mu.Lock()
		free, changed := l.mode == open, l.changed
		l.mu.Unlock()
		if free {
			return true
		}
		select {
		case <-changed:
		case <-p.gone:
			return false
		}
	}
}

// write delivers data, before which sent bytes went the same way.
func (l *Link) write(p *pipe, to *net.TCPConn, data []byte, sent int) error {
	l.mu.Lock()
	delay, fragment, first, pause := l.delay, l.fragment, l.first, l.pause
	l.mu.Unlock()
	if delay > 0 && !p.rest(delay) {
		return net.ErrClosed
	}
	for ; sent < first && len(data) > 0; sent, data = sent+1, data[1:] {
		if _, err := to.Write(data[:1]); err != nil || !p.rest(pause) {
			return cmp.Or(err, net.ErrClosed)
		}
	}
	if !fragment {
		_, err := to.Write(data)
		return err
	}
	for size := 1; len(data) > 0; size = size%7 + 1 {
		n := min(size, len(data))
		if _, err := to.Write(data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// check asks the target whether it still takes connections, after it ended one.
func (l *Link) check() {
	conn, err := net.DialTimeout("tcp", l.target, time.Second)
	if err != nil {
		l.lost(err)
		return
	}
	_ = conn.Close()
}

// lost refuses connections from now on if the target does, until it takes them again.
func (l *Link) lost(err error) {
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down || l.closed {
		return
	}
	l.down = true
	_ = l.settle()
	l.wg.Go(l.revive)
}

func (l *Link) revive() {
	for {
		l.mu.Lock()
		closed := l.closed
		l.mu.Unlock()
		if closed {
			return
		}
		conn, err := net.DialTimeout("tcp", l.target, time.Second)
		if err == nil {
			_ = conn.Close()
			l.mu.Lock()
			l.down = false
			_ = l.settle()
			l.mu.Unlock()
			return
		}
		time.Sleep(redial)
	}
}

// attach adds the connection to the target; false means that the pipe has been reset meanwhile.
func (p *pipe) attach(server *net.TCPConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = server
	select {
	case <-p.gone:
		_ = server.Close()
		return false
	default:
		return true
	}
}

// reset ends both connections so that their other ends see a reset.
func (p *pipe) reset() {
	p.once.Do(func() { close(p.gone) })
	p.end(true)
}

func (p *pipe) close() {
	p.once.Do(func() { close(p.gone) })
	p.end(false)
}

func (p *pipe) end(hard bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range []*net.TCPConn{p.client, p.server} {
		if c == nil {
			continue
		}
		if hard {
			_ = c.SetLinger(0)
		}
		_ = c.Close()
	}
}

// rest waits for d; false means that the pipe was ended meanwhile.
func (p *pipe) rest(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.gone:
		return false
	}
}
