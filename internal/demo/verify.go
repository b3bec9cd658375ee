package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// sameTimeout bounds the wait for the standby to have what the primary has.
const sameTimeout = 30 * time.Second

// sameHistory waits until the standby has everything that the primary has now.
func sameHistory(ctx context.Context, primary, standby *mysqltest.Server) error {
	ctx, cancel := context.WithTimeoutCause(ctx, sameTimeout, fmt.Errorf("not within %s", sameTimeout))
	defer cancel()
	from, err := flavor.Detect(ctx, primary.DB())
	if err != nil {
		return err
	}
	to, err := flavor.Detect(ctx, standby.DB())
	if err != nil {
		return err
	}
	target, err := from.Position(ctx, primary.DB())
	if err != nil {
		return err
	}
	conn, err := standby.DB().Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := to.Wait(ctx, conn, target); err != nil {
		return fmt.Errorf("wait for the standby to have all of the primary: %w", err)
	}
	return nil
}

// readTable reads from a server itself, not through onewriter. The ids are from 1 to last.
func readTable(ctx context.Context, s *mysqltest.Server, last int64) (t table, err error) {
	t.writers = make([]uint32, last+1)
	rows, err := s.DB().QueryContext(ctx, "SELECT id, server FROM app.writes")
	if err != nil {
		return t, fmt.Errorf("read the rows of server %d: %w", s.ServerID, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int64
		var server uint32
		if err := rows.Scan(&id, &server); err != nil {
			return t, err
		}
		t.rows++
		if id <= last {
			t.writers[id] = server
		}
	}
	if err := rows.Err(); err != nil {
		return t, fmt.Errorf("read the rows of server %d: %w", s.ServerID, err)
	}
	var name string
	if err := s.DB().QueryRowContext(ctx, "CHECKSUM TABLE app.writes").Scan(&name, &t.checksum); err != nil {
		return t, fmt.Errorf("checksum of server %d: %w", s.ServerID, err)
	}
	return t, nil
}

// compare reads both servers and fills in what they say.
func (d *show) compare(ctx context.Context) error {
	last := d.ids.Load()
	tables := make([]table, len(d.stage.pair.Servers))
	for i, s := range d.stage.pair.Servers {
		var err error
		if tables[i], err = readTable(ctx, s, last); err != nil {
			return err
		}
		d.result.Rows[serverName(i)] = tables[i].rows
		d.result.Checksums[serverName(i)] = tables[i].checksum
		d.result.WrittenBy[serverName(i)] = 0
	}
	for _, writer := range tables[0].writers {
		for i, s := range d.stage.pair.Servers {
			if writer == s.ServerID {
				d.result.WrittenBy[serverName(i)]++
			}
		}
	}
	acks := d.load.acks
	d.result.Lost = lost(acks, tables)
	d.result.ChecksumsEqual = tables[0].checksum != "" && tables[0].checksum == tables[1].checksum
	wrong, checked := wrongWriters(acks, d.reigns, tables[0])
	d.result.WrongWriter = wrong
	if checked == 0 {
		d.result.addError("no write fell into the reign of a known primary, so that its writer could not be checked")
	}
	return nil
}
