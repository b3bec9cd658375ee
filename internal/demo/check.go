package demo

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// How long replication may take to bring the servers to the same state after the load, and how often they are asked.
const (
	equalLimit = 60 * time.Second
	equalPoll  = 50 * time.Millisecond
)

// Server is one database server, reached directly. DB must be allowed to read the schema named Schema.
type Server struct {
	Name   string
	ID     uint32 // its server_id
	DB     *sql.DB
	Schema string
}

func (s Server) table() string { return s.Schema + "." + Table }

// Verdict is what the servers show after a load.
type Verdict struct {
	// Lost counts acknowledged rows that at least one server lacks: the greatest number of any server.
	Lost int64
	// Misplaced counts rows that carry the id of a server that was not primary when they were written, and Placed the
	// rows that this was checked for.
	Misplaced, Placed int64
	// ChecksumsEqual tells whether CHECKSUM TABLE is the same on all servers.
	ChecksumsEqual bool
	// Rows counts the rows by the name of the server they were written on, and RowsByEpoch those of each reign.
	Rows        map[string]int64
	RowsByEpoch map[uint64]int64
}

// Verify waits until the servers hold the same rows and compares them with what the clients were told. No client may be
// writing.
func Verify(ctx context.Context, servers []Server, ledger *Ledger, reigns []Reign) (Verdict, error) {
	v := Verdict{Rows: map[string]int64{}, RowsByEpoch: map[uint64]int64{}}
	waiting, cancel := context.WithTimeout(ctx, equalLimit)
	err := awaitEqual(waiting, servers)
	cancel()
	if err != nil && ctx.Err() != nil {
		return v, err
	}
	// Servers that do not become equal are a finding, which the numbers below show.
	sums := make([]string, len(servers))
	for i, s := range servers {
		rows, err := readRows(ctx, s)
		if err != nil {
			return v, err
		}
		v.Lost = max(v.Lost, ledger.missing(rows))
		if sums[i], err = checksum(ctx, s); err != nil {
			return v, err
		}
	}
	v.ChecksumsEqual = allEqual(sums)
	return v, v.place(ctx, servers, reigns)
}

// place looks where rows were written.
func (v *Verdict) place(ctx context.Context, servers []Server, reigns []Reign) error {
	ids := map[string]uint32{}
	for _, s := range servers {
		ids[s.Name] = s.ID
		n, err := count(ctx, servers[0], "server_id = ?", s.ID)
		if err != nil {
			return err
		}
		v.Rows[s.Name] = n
	}
	for _, r := range reigns {
		right, err := count(ctx, servers[0], "id >= ? AND id < ? AND server_id = ?", r.from, r.to, ids[r.Primary])
		if err != nil {
			return err
		}
		wrong, err := count(ctx, servers[0], "id >= ? AND id < ? AND server_id <> ?", r.from, r.to, ids[r.Primary])
		if err != nil {
			return err
		}
		v.Placed += right + wrong
		v.Misplaced += wrong
		v.RowsByEpoch[r.Epoch] += right + wrong
	}
	return nil
}

func count(ctx context.Context, s Server, where string, args ...any) (n int64, err error) {
	if err := s.DB.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+s.table()+" WHERE "+where, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting rows on %s: %w", s.Name, err)
	}
	return n, nil
}

// awaitEqual waits until all servers have as many rows and the same last one.
func awaitEqual(ctx context.Context, servers []Server) error {
	tick := time.NewTicker(equalPoll)
	defer tick.Stop()
	for {
		ends := make([]string, len(servers))
		for i, s := range servers {
			err := s.DB.QueryRowContext(ctx, "SELECT CONCAT(COUNT(*), ' rows to ', COALESCE(MAX(id), 0)) FROM "+s.table()).Scan(&ends[i])
			if err != nil {
				return fmt.Errorf("counting rows on %s: %w", s.Name, err)
			}
		}
		if allEqual(ends) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the servers do not become equal (%q): %w", ends, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func readRows(ctx context.Context, s Server) (*bitset, error) {
	rows, err := s.DB.QueryContext(ctx, "SELECT id FROM "+s.table())
	if err != nil {
		return nil, fmt.Errorf("reading the rows of %s: %w", s.Name, err)
	}
	defer func() { _ = rows.Close() }()
	out := &bitset{}
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("reading the rows of %s: %w", s.Name, err)
		}
		out.set(id)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the rows of %s: %w", s.Name, err)
	}
	return out, nil
}

func checksum(ctx context.Context, s Server) (string, error) {
	var table, sum string
	if err := s.DB.QueryRowContext(ctx, "CHECKSUM TABLE "+s.table()).Scan(&table, &sum); err != nil {
		return "", fmt.Errorf("checksum on %s: %w", s.Name, err)
	}
	return sum, nil
}

func allEqual(list []string) bool {
	for _, s := range list {
		if s != list[0] {
			return false
		}
	}
	return true
}
