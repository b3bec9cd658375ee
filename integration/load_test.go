package integration

import (
	"context"
	"database/sql"
	"fmt"
	"sort"
	"sync"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// ack is one write that a client was told to be done.
type ack struct {
	id            int64
	invoked, told time.Time
	server        uint32 // @@server_id as the row itself says
}

// load is a set of clients that write and read through a proxy until they are stopped.
type load struct {
	t    *testing.T
	stop context.CancelFunc
	wg   sync.WaitGroup
	pace time.Duration

	mu     sync.Mutex
	acks   []ack
	errs   []error
	nextID int64
}

// startLoad creates the table and starts writers, each on a connection of its own. Half of them use transactions of
// three rows, the others single statements; every other one uses prepared statements.
func startLoad(t *testing.T, addr string, writers int) *load {
	t.Helper()
	return startPaced(t, addr, writers, 0)
}

// startPaced is startLoad with a rest after each write. Rows of an earlier load stay.
func startPaced(t *testing.T, addr string, writers int, pace time.Duration) *load {
	t.Helper()
	l := &load{t: t, pace: pace}
	db := open(t, addr, "")
	if _, err := db.Exec("CREATE TABLE IF NOT EXISTS writes (id BIGINT PRIMARY KEY, client INT NOT NULL, server INT UNSIGNED NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRow("SELECT COALESCE(MAX(id), 0) + 1000 FROM writes").Scan(&l.nextID); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = cancel
	t.Cleanup(func() { cancel(); l.wg.Wait() })
	for c := range writers {
		params := "interpolateParams=true"
		if c%2 == 1 {
			params = ""
		}
		pool := open(t, addr, params)
		pool.SetMaxOpenConns(1)
		l.wg.Go(func() { l.write(ctx, pool, c, c%4 >= 2) })
	}
	return l
}

func (l *load) id() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nextID++
	return l.nextID
}

func (l *load) write(ctx context.Context, db *sql.DB, client int, transactions bool) {
	for ctx.Err() == nil {
		n := 1
		if transactions {
			n = 3
		}
		ids := make([]int64, n)
		for i := range ids {
			ids[i] = l.id()
		}
		began := time.Now()
		err := l.insert(db, client, ids)
		told := time.Now()
		l.mu.Lock()
		if err != nil {
			l.errs = append(l.errs, fmt.Errorf("client %d: %w", client, err))
		} else {
			for _, id := range ids {
				l.acks = append(l.acks, ack{id: id, invoked: began, told: told})
			}
		}
		l.mu.Unlock()
		time.Sleep(l.pace)
	}
}

const insertSQL = "INSERT INTO writes (id, client, server) VALUES (?, ?, @@server_id)"

// insert does not use the load's context: a cancelled statement would be an error of the test's own making.
func (l *load) insert(db *sql.DB, client int, ids []int64) error {
	if len(ids) == 1 {
		_, err := db.Exec(insertSQL, ids[0], client)
		return err
	}
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := tx.Exec(insertSQL, id, client); err != nil {
			_ = tx.Rollback()
			return err
		}
	}
	return tx.Commit()
}

// end stops the load and returns what was acknowledged, by time of invocation, and all errors of clients.
func (l *load) end() ([]ack, []error) {
	l.stop()
	l.wg.Wait()
	sort.Slice(l.acks, func(i, j int) bool { return l.acks[i].invoked.Before(l.acks[j].invoked) })
	return l.acks, l.errs
}

// longestPause is the longest time in which no write was acknowledged within the window.
func longestPause(acks []ack, from, to time.Time) time.Duration {
	times := make([]time.Time, 0, len(acks))
	for _, a := range acks {
		if a.told.After(from) && a.told.Before(to) {
			times = append(times, a.told)
		}
	}
	sort.Slice(times, func(i, j int) bool { return times[i].Before(times[j]) })
	longest := time.Duration(0)
	for i := 1; i < len(times); i++ {
		longest = max(longest, times[i].Sub(times[i-1]))
	}
	return longest
}

// reign is the time in which a server was primary: from the answer to the switchover that made it so to the request
// for the next one. Between two reigns a row may come from either.
type reign struct {
	server   uint32
	from, to time.Time
}

// verify checks that every acknowledged row is on every server, that the servers have the same rows, and that no row
// was written by a server that was not primary at that time.
func verify(t *testing.T, pair *mysqltest.Pair, acks []ack, reigns []reign) {
	t.Helper()
	var first map[int64]uint32
	for i, s := range pair.Servers {
		rows := rowsOn(t, s)
		if i == 0 {
			first = rows
		}
		missing := 0
		for _, a := range acks {
			if _, ok := rows[a.id]; !ok {
				missing++
			}
		}
		if missing > 0 {
			t.Errorf("server %d lacks %d of %d acknowledged rows", i, missing, len(acks))
		}
		if len(rows) != len(first) {
			t.Errorf("server %d has %d rows, server 0 has %d", i, len(rows), len(first))
		}
	}
	checked := 0
	for _, a := range acks {
		for _, r := range reigns {
			if a.invoked.After(r.from) && a.told.Before(r.to) {
				checked++
				if first[a.id] != r.server {
					t.Fatalf("row %d was written on server_id %d while %d was primary", a.id, first[a.id], r.server)
				}
			}
		}
	}
	if checked == 0 {
		t.Error("no write fell into the reign of a primary: nothing was checked")
	}
	if sums := checksums(t, pair); !equal(sums) {
		t.Errorf("checksums of the servers differ: %v", sums)
	}
}

func rowsOn(t *testing.T, s *mysqltest.Server) map[int64]uint32 {
	t.Helper()
	rows, err := s.DB().Query("SELECT id, server FROM app.writes")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	out := map[int64]uint32{}
	for rows.Next() {
		var id int64
		var server uint32
		if err := rows.Scan(&id, &server); err != nil {
			t.Fatal(err)
		}
		out[id] = server
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func checksums(t *testing.T, pair *mysqltest.Pair) []string {
	t.Helper()
	var out []string
	for _, s := range pair.Servers {
		var table, sum string
		if err := s.DB().QueryRow("CHECKSUM TABLE app.writes").Scan(&table, &sum); err != nil {
			t.Fatal(err)
		}
		out = append(out, sum)
	}
	return out
}

func equal(list []string) bool {
	for _, s := range list {
		if s != list[0] {
			return false
		}
	}
	return true
}

// caughtUp waits until all servers have as many rows as the one with the most.
func (o *onewriter) caughtUp(pair *mysqltest.Pair) {
	o.t.Helper()
	o.eventually(20*time.Second, "replication catches up", func() error {
		counts := map[int]bool{}
		for _, s := range pair.Servers {
			var n int
			if err := s.DB().QueryRow("SELECT COUNT(*) FROM app.writes").Scan(&n); err != nil {
				return err
			}
			counts[n] = true
		}
		if len(counts) != 1 {
			return fmt.Errorf("row counts %v", counts)
		}
		return nil
	})
}

func serverID(t *testing.T, s *mysqltest.Server) uint32 {
	t.Helper()
	var id uint32
	if err := s.DB().QueryRow("SELECT @@server_id").Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}
