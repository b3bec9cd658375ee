package binlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/onewriter/onewriter/internal/gtid"
)

// errDone ends a dump that has seen enough.
var errDone = errors.New("seen enough")

// dump is one run through a binary log. The server sends what there is and then closes the connection.
type dump struct {
	ctx    context.Context
	handle func(*replication.BinlogEvent) error

	mu   sync.Mutex // guards what follows
	conn net.Conn
	over bool

	// unreadable and failed are of the goroutine that decodes.
	unreadable map[*replication.RowsEvent]string
	failed     error
}

// dumpEvents calls handle with every event from from (a file position) on, until the log's end or until handle returns
// errDone. It ends with ErrShort at the log's end.
func dumpEvents(ctx context.Context, s Source, from gtid.Position, d *dump) error {
	file, pos, ok := from.File()
	if !ok || pos > 1<<32-1 {
		return fmt.Errorf("begin to read at %q: %w", from, ErrTooLarge)
	}
	host, port, err := s.hostPort()
	if err != nil {
		return err
	}
	d.ctx = ctx
	if d.unreadable == nil {
		d.unreadable = map[*replication.RowsEvent]string{}
	}
	stop := context.AfterFunc(ctx, d.close)
	defer stop()
	syncer := replication.NewBinlogSyncer(d.config(s, host, port))
	streamer, err := syncer.StartSync(mysql.Position{Name: file, Pos: uint32(pos)})
	if err == nil {
		_, err = streamer.GetEvent(ctx)
	}
	d.close()
	syncer.Close() // waits for the goroutine that decodes
	return d.outcome(err)
}

// outcome tells why the dump ended, whose last error is err.
func (d *dump) outcome(err error) error {
	switch {
	case errors.Is(d.failed, errDone):
		return nil
	case d.ctx.Err() != nil:
		return context.Cause(d.ctx)
	case d.failed != nil:
		return d.failed
	case err == nil:
		return ErrShort
	}
	var refused *mysql.MyError
	if errors.As(err, &refused) {
		return refused
	}
	var network net.Error
	if errors.Is(err, mysql.ErrBadConn) || errors.Is(err, net.ErrClosed) || errors.As(err, &network) {
		return fmt.Errorf("%w (%v)", ErrShort, err)
	}
	return err
}

func (d *dump) config(s Source, host string, port uint16) replication.BinlogSyncerConfig {
	id := s.ServerID
	if id == 0 {
		id = defaultServerID
	}
	return replication.BinlogSyncerConfig{
		ServerID: id, Flavor: s.Flavor, Host: host, Port: port, User: s.User, Password: s.Password, TLSConfig: s.TLS,
		Localhost: "onewriter", Logger: slog.New(slog.DiscardHandler), Dialer: d.dial,
		DumpCommandFlag: replication.BINLOG_DUMP_NON_BLOCK, DisableRetrySync: true, DiscardGTIDSet: true,
		TimestampStringLocation: time.UTC, RenderJSONAsMySQLText: true, PayloadDecoderConcurrency: 1, EventCacheCount: 1,
		RowsEventDecodeFunc: d.decode, SynchronousEventHandler: d,
	}
}

// decode notes what could not be decoded instead of giving up: the transaction can at least be named then.
func (d *dump) decode(e *replication.RowsEvent, data []byte) error {
	if err := e.Decode(data); err != nil {
		e.Rows = nil
		d.unreadable[e] = err.Error()
	}
	return nil
}

// HandleEvent implements replication.EventHandler.
func (d *dump) HandleEvent(e *replication.BinlogEvent) error {
	d.failed = d.handle(e)
	clear(d.unreadable)
	return d.failed
}

// dial connects, once: the library would connect again only to kill a dump that has ended by itself.
func (d *dump) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	d.conn = conn
	return conn, nil
}

// close ends the connection and allows no other.
func (d *dump) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	if d.conn != nil {
		_ = d.conn.Close() // the library closes it again
	}
}
