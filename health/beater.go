package health

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/topology"
)

// beatWriter writes the heartbeat row on one server. It is used by one goroutine.
type beatWriter interface {
	write(ctx context.Context, serverID uint32, beat uint64) error
	close()
}

// beater writes the heartbeat row on the primary, on connections of its own, because a write can hang while reads go
// on.
type beater struct {
	m       *Monitor
	writers []beatWriter
	slot    chan struct{} // held while writing, and to change primary

	primary string // guarded by slot
	beat    uint64 // owned by run

	mu     sync.Mutex
	cancel context.CancelFunc // guarded by mu; ends the write in flight, nil when there is none
}

// setPrimary waits for a write in flight, which has an end soon: a server that was seen not to answer is not waited
// for.
func (b *beater) setPrimary(p topology.Primary) {
	b.slot <- struct{}{}
	b.primary = p.Instance.Name
	<-b.slot
}

func (b *beater) run(ctx context.Context) {
	defer func() {
		for _, w := range b.writers {
			w.close()
		}
	}()
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			b.once(ctx)
		}
	}
}

// abandon ends a write in flight if the primary does not answer. Whether the write is done some time is open then; it
// would be, too, if nobody had waited.
func (b *beater) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cancel != nil {
		b.cancel()
	}
}

func (b *beater) setCancel(cancel context.CancelFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cancel = cancel
}

// once writes one heartbeat if there is a primary that was seen open.
func (b *beater) once(ctx context.Context) {
	b.slot <- struct{}{}
	defer func() { <-b.slot }()
	bounded, cancel := context.WithTimeout(ctx, b.m.cfg.Timeout+beatEvery/2) // lock waits end by themselves after 1 s
	defer cancel()
	b.setCancel(cancel) // before the look at the primary: whoever finds it bad after that ends the write
	defer b.setCancel(nil)
	index, id, ok := b.target()
	if !ok {
		return
	}
	begun := time.Now()
	b.beat = max(b.beat+1, flavor.BeatAt(begun)) // grows over restarts, too
	err := b.writers[index].write(bounded, id, b.beat)
	if err != nil && errors.Is(bounded.Err(), context.Canceled) {
		return // we are ending, or the probes have told already what is wrong
	}
	b.m.update(func(c *collector) { c.wrote(index, b.beat, begun, err) })
}

// target finds the primary in the newest snapshot.
func (b *beater) target() (index int, id uint32, ok bool) {
	for i, o := range b.m.Snapshot().Servers {
		if o.Instance.Name == b.primary {
			return i, o.Facts.ServerID, o.Facts.ServerID != 0 && o.Facts.Writable() && o.Alive()
		}
	}
	return 0, 0, false
}

// sqlBeatWriter is the beatWriter for real servers.
type sqlBeatWriter struct {
	db     *sql.DB
	writer string
	conn   *sql.Conn // nil when there is none
}

func (w *sqlBeatWriter) write(ctx context.Context, serverID uint32, beat uint64) error {
	fresh := w.conn == nil
	err := w.try(ctx, serverID, beat)
	if err != nil && !fresh && ctx.Err() == nil && Classify(err) == topology.ClassReset {
		err = w.try(ctx, serverID, beat) // the connection was idle and has ended: that is no outage
	}
	return err
}

func (w *sqlBeatWriter) try(ctx context.Context, serverID uint32, beat uint64) (err error) {
	if w.conn == nil {
		conn, err := w.db.Conn(ctx)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		w.conn = conn
		_, err = conn.ExecContext(ctx, "SET SESSION wait_timeout = 30, lock_wait_timeout = 1, innodb_lock_wait_timeout = 1")
		if err != nil {
			w.close()
			return fmt.Errorf("prepare the session: %w", err)
		}
	}
	err = writeBeat(ctx, w.conn, serverID, w.writer, beat)
	if err != nil && Classify(err) != topology.ClassError || errors.Is(err, context.Canceled) {
		w.close()
	}
	return err
}

func (w *sqlBeatWriter) close() {
	if w.conn != nil {
		_ = w.conn.Close() // broken or no longer wanted
		w.conn = nil
	}
}
