package faultnet

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// Link relays connections to one target. Its methods may be called from several goroutines.
type Link struct {
	target string
	addr   string
	place  *place // keeps the port while nothing listens on it
	wg     sync.WaitGroup

	mu       sync.Mutex
	mode     mode
	down     bool // nothing listens at the target
	closed   bool
	changed  chan struct{} // closed and replaced when one of the fields above changes
	listener net.Listener  // nil unless connections are taken
	hole     *hole         // nil unless connection attempts are dropped
	pipes    map[*pipe]struct{}
	delay    time.Duration
	fragment bool
	first    int           // bytes of each connection and direction that arrive one by one
	pause    time.Duration // between them
	mend     *time.Timer   // ends a stall
}

// mode is what a link does to its connections.
type mode uint8

const (
	open      mode = iota
	cut            // nothing gets through, nobody is told
	stalled        // nothing gets through, but connections are taken
	rejecting      // connections are reset, attempts refused
)

// redial is how often a target that refused is asked again. It learns nothing from being asked while it is down.
const redial = 20 * time.Millisecond

// dialTimeout is how long a target that does not answer is waited for; the client waits as long.
const dialTimeout = 2 * time.Minute

// Listen makes a link to target (host:port) on a free loopback port.
func Listen(target string) (*Link, error) {
	p, err := newPlace()
	if err != nil {
		return nil, fmt.Errorf("take a port for the link to %s: %w", target, err)
	}
	l := &Link{target: target, addr: p.addr, place: p, changed: make(chan struct{}), pipes: map[*pipe]struct{}{}}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.settle(); err != nil {
		p.close()
		return nil, fmt.Errorf("listen for %s: %w", target, err)
	}
	return l, nil
}

// Addr is the host:port to connect to instead of the target's.
func (l *Link) Addr() string { return l.addr }

// Cut drops everything in both directions without a word, also attempts to connect. What was under way is delivered
// by Heal, as a network delivers what its ends send again.
func (l *Link) Cut() { l.turn(cut) }

// Reject resets all connections and refuses new ones, as a firewall with REJECT does, or a port that moved.
func (l *Link) Reject() { l.turn(rejecting) }

// Heal undoes Cut, Reject and Stall.
func (l *Link) Heal() { l.turn(open) }

// Stall holds everything up for d. Connections can be made meanwhile, but nothing is heard on them.
func (l *Link) Stall(d time.Duration) {
	l.turn(stalled)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mode == stalled {
		l.mend = time.AfterFunc(d, func() { l.turnFrom(stalled, open) })
	}
}

// Delay lets each piece of data, up to 64 KiB, arrive d later; 0 ends that. Pieces do not overtake or overlap each
// other, so that a delay limits the rate too.
func (l *Link) Delay(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = d
}

// Fragment makes data arrive in pieces of a few bytes.
func (l *Link) Fragment(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fragment = on
}

// Trickle makes the first bytes of each connection, in each direction, arrive one by one, pause after the one before; 0
// ends that.
func (l *Link) Trickle(first int, pause time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first, l.pause = first, pause
}

// Close ends the link and all its connections and waits for that.
func (l *Link) Close() {
	l.mu.Lock()
	l.closed = true
	l.stopMend()
	_ = l.settle()
	for p := range l.pipes {
		p.reset()
	}
	l.mu.Unlock()
	l.wg.Wait()
	l.place.close()
}

func (l *Link) turn(m mode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopMend()
	l.become(m)
}

func (l *Link) turnFrom(from, to mode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mode == from {
		l.become(to)
	}
}

// become changes the mode. The caller holds mu, as for all below.
func (l *Link) become(m mode) {
	if l.closed || l.mode == m {
		return
	}
	l.mode = m
	if m == rejecting {
		for p := range l.pipes {
			p.reset()
		}
	}
	_ = l.settle() // the place keeps the port, so that listening again cannot fail
}

func (l *Link) stopMend() {
	if l.mend != nil {
		l.mend.Stop()
		l.mend = nil
	}
}

// settle makes the port behave as the link's state asks for, and wakes those who wait for a change.
func (l *Link) settle() error {
	close(l.changed)
	l.changed = make(chan struct{})
	listen := !l.closed && (l.mode == stalled || l.mode == open && !l.down)
	if !listen && l.listener != nil {
		_ = l.listener.Close()
		l.listener = nil
	}
	if hidden := !l.closed && l.mode == cut; !hidden && l.hole != nil {
		l.hole.close()
		l.hole = nil
	} else if hidden && l.hole == nil {
		l.hole = newHole(l.place)
	}
	if !listen || l.listener != nil {
		return nil
	}
	listener, err := net.Listen("tcp", l.addr)
	if err != nil {
		return err
	}
	l.listener = listener
	l.wg.Go(func() { l.serve(listener) })
	return nil
}

func (l *Link) serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		l.wg.Go(func() { l.relay(conn.(*net.TCPConn)) })
	}
}
