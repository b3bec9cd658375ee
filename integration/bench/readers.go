package main

import (
	"context"
	"database/sql/driver"
	"fmt"
	"net"
	"time"
)

// slowReaders is how many clients ask for a large result and do not read it.
const slowReaders = 20

// readerLimit is how many MB of memory such a client may cost the proxy.
const readerLimit = 1

// readers measures what clients cost that do not take what they asked for.
func readers(ctx context.Context, r *rig, t *table) error {
	const size = 1000
	r.say("%d slow readers of large results", slowReaders)
	if err := r.createRows(ctx, size); err != nil {
		return err
	}
	got, err := r.each(1, func(at *target) (samples, error) { return r.slow(ctx, at, largeResult(size, r.o.bytes/size)) })
	t.add(fmt.Sprintf("%d readers that stop in a result of %d MB", slowReaders, r.o.bytes/1000000), got)
	return err
}

func (r *rig) slow(ctx context.Context, t *target, query string) (s samples, err error) {
	conns := make([]driver.Conn, 0, slowReaders)
	raws := make([]net.Conn, 0, slowReaders)
	defer func() {
		for i, c := range raws {
			_ = c.Close() // the driver would read on
			_ = conns[i].Close()
		}
	}()
	for range slowReaders {
		conn, raw, err := r.rawConn(ctx, t)
		if err != nil {
			return nil, err
		}
		conns, raws = append(conns, conn), append(raws, raw)
	}
	before, err := t.proc.rss()
	if err != nil {
		return nil, err
	}
	for _, raw := range raws {
		if err := ask(raw, query); err != nil {
			return nil, err
		}
		if _, err := raw.Read(make([]byte, 64<<10)); err != nil { // it has begun
			return nil, err
		}
	}
	most := before
	for range 10 {
		if err := wait(ctx, 200*time.Millisecond); err != nil {
			return nil, err
		}
		now, err := t.proc.rss()
		if err != nil {
			return nil, err
		}
		most = max(most, now)
	}
	return samples{{name: "MB/reader", value: float64(most-before) / 1e6 / slowReaders, limit: readerLimit}}, nil
}
