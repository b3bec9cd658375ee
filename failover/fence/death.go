package fence

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/onewriter/onewriter/internal/pause"
	"github.com/onewriter/onewriter/topology"
)

// ErrNotDead means that it is not proved that the server has no process.
var ErrNotDead = errors.New("it is not proved that the server is dead")

const (
	dialTimeout  = 500 * time.Millisecond
	dialsApart   = 60 * time.Millisecond
	askWitnesses = time.Second
)

// ProveDead proves that nothing listens at address any more. It takes two signs: the address refuses two connections
// from here a while apart, which a firewall in between could do as well, and it refuses a standby, whose receiver says
// so. sourceID is the server_id of the dead server, 0 when unknown. Witnesses that do not answer do not count, nor do
// links that were stopped or follow somebody else; but one receiver that still runs, or fails to connect for another
// reason than being refused, disproves it. A server that is dead starts closed for writes if it is configured as it should be.
func ProveDead(ctx context.Context, address string, sourceID uint32, witnesses []Server) (*Proof, error) {
	for i := range 2 {
		if i > 0 {
			if err := pause.For(ctx, dialsApart); err != nil {
				return nil, err
			}
		}
		if err := refused(ctx, address); err != nil {
			return nil, err
		}
	}
	lines := []string{fmt.Sprintf("%s refused two connections from here, %s apart.", address, dialsApart)}
	found := false
	for _, w := range witnesses {
		line, err := w.testify(ctx, address, sourceID)
		switch {
		case err != nil:
			return nil, err
		case line != "":
			lines, found = append(lines, line), true
		}
	}
	if !found {
		return nil, fmt.Errorf("%w: no standby says that %s refuses it, too", ErrNotDead, address)
	}
	return &Proof{of: address, kind: ByDeath, lines: lines, valid: true}, nil
}

// refused dials; only "connection refused" is no error.
func refused(ctx context.Context, address string) error {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "tcp", address)
	switch {
	case err == nil:
		_ = conn.Close() // it was only to see whether somebody is there
		return fmt.Errorf("%w: %s accepts connections", ErrNotDead, address)
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil
	default:
		return fmt.Errorf("%w: %s does not refuse connections: %w", ErrNotDead, address, err)
	}
}

// testify says in a sentence that the server's receiver is refused at address; "" when it says nothing about it. The
// error is that it still receives, or could.
func (s Server) testify(ctx context.Context, address string, sourceID uint32) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askWitnesses)
	defer cancel()
	facts, err := s.Dialect.Observe(ctx, s.DB)
	if err != nil {
		return "", nil //nolint:nilerr // no witness
	}
	for _, l := range facts.Links {
		if l.Source != address && (sourceID == 0 || l.SourceServerID != sourceID) {
			continue
		}
		switch {
		case l.IO == topology.ThreadYes:
			return "", fmt.Errorf("%w: the receiver of %s still runs", ErrNotDead, s.Name)
		case l.IO == topology.ThreadConnecting && !strings.Contains(l.IOError, refusedErrno):
			return "", fmt.Errorf("%w: the receiver of %s was not refused: error %d, %q", ErrNotDead, s.Name, l.IOErrno, l.IOError)
		case l.IO == topology.ThreadConnecting:
			return fmt.Sprintf("The receiver of %s is refused there: error %d, %s.", s.Name, l.IOErrno, strings.TrimRight(l.IOError, ". ")), nil
		}
	}
	return "", nil
}

// refusedErrno is ECONNREFUSED as both flavours print it in the receiver's error: (111 "Connection refused"), (111).
const refusedErrno = "(111"
