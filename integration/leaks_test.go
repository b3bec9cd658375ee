package integration

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

// TestNothingIsLeftBehind is about what sessions take: all of it is given back, and never more than their share.
func TestNothingIsLeftBehind(t *testing.T) {
	for _, f := range bothFlavors {
		t.Run(f.String(), func(t *testing.T) {
			pair, o := startPair(t, mysqltest.PairOptions{Flavor: f, Fast: true}, "")
			t.Run("after many connects", func(t *testing.T) { connectsLeaveNothing(t, pair, o) })
			t.Run("clients that do not read", func(t *testing.T) { slowReaders(t, o) })
			t.Run("servers that do not read", func(t *testing.T) { slowServer(t, o) })
		})
	}
}

// connectsPerFlavor is how many connections are made; `make leaks` makes more.
func connectsPerFlavor(t *testing.T) int {
	t.Helper()
	v := os.Getenv("ONEWRITER_LEAKS")
	if v == "" {
		return 1500
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("ONEWRITER_LEAKS is %q, no number", v)
	}
	return n
}

// usage is what onewriter and its primary have in use.
type usage struct {
	goroutines, descriptors, rss, threads float64
	aborted                               float64 // connections that ended without a good-bye, as the server counts them
}

func (o *onewriter) metric(name string) float64 {
	o.t.Helper()
	_, body := o.get("/metrics")
	for line := range strings.Lines(body) {
		if rest, found := strings.CutPrefix(line, name+" "); found {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				o.t.Fatalf("%s: %v", line, err)
			}
			return v
		}
	}
	o.t.Fatalf("there is no metric %s", name)
	return 0
}

func (o *onewriter) usage(db *sql.DB) usage {
	status := func(name string) (v float64) {
		if err := db.QueryRow("SHOW GLOBAL STATUS LIKE '"+name+"'").Scan(new(string), &v); err != nil {
			o.t.Fatal(err)
		}
		return v
	}
	return usage{
		goroutines: o.metric("go_goroutines"), descriptors: o.metric("process_open_fds"), rss: o.metric("process_resident_memory_bytes"),
		threads: status("Threads_connected"), aborted: status("Aborted_clients"),
	}
}

// The slacks are for what comes and goes by itself: probes, control connections, a scrape; and for the heap's own rhythm.
const (
	slackThings = 12
	slackRSS    = 16 << 20
)

func connectsLeaveNothing(t *testing.T, pair *mysqltest.Pair, o *onewriter) {
	db := pair.Servers[0].DB()
	mustExec(t, db, "CREATE TABLE app.bulk (v MEDIUMTEXT)")
	for range 4 {
		mustExec(t, db, "INSERT INTO app.bulk VALUES (REPEAT('x', 2000000))")
	}
	n := connectsPerFlavor(t)
	visit(t, o, 400) // fills pools and caches
	o.settle(db, usage{goroutines: 1e9, descriptors: 1e9, threads: 1e9, rss: 1e12})
	before := o.usage(db)
	visit(t, o, n)
	after := o.settle(db, before)
	t.Logf("before %+v, after %d connects %+v", before, n, after)
	// Only who was killed amid a result leaves the server without a word; and, on a busy machine, a probe that took too long.
	if got, most := after.aborted-before.aborted, float64(n/len(visits)+slackThings); got > most {
		t.Errorf("the server counts %.0f aborted connections, want %.0f at most", got, most)
	}
	if err := open(t, o.primary, "").Ping(); err != nil {
		t.Error(err)
	}
}

// settle waits until nothing more is in use than before.
func (o *onewriter) settle(db *sql.DB, before usage) (now usage) {
	o.t.Helper()
	o.eventually(60*time.Second, "everything is given back", func() error {
		if n := o.metric(`onewriter_server_connections{cluster="test",server="a"}`); n != 0 {
			return fmt.Errorf("%.0f sessions are on the server", n)
		}
		now = o.usage(db)
		if now.goroutines > before.goroutines+slackThings || now.descriptors > before.descriptors+slackThings ||
			now.threads > before.threads+slackThings || now.rss > before.rss+slackRSS {
			return fmt.Errorf("before %+v, now %+v", before, now)
		}
		return nil
	})
	return now
}

// visits are the ways to come and go.
var visits = []func(o *onewriter) error{
	func(o *onewriter) error { // as one should
		db, err := sql.Open("mysql", appDSN(o.primary))
		if err != nil {
			return err
		}
		defer db.Close()
		return db.Ping()
	},
	func(o *onewriter) error { // a port check
		return o.knock(func(net.Conn) error { return nil })
	},
	func(o *onewriter) error { // a load balancer's check
		return o.knock(func(c net.Conn) error {
			_, _ = c.Read(make([]byte, 200))
			return nil
		})
	},
	func(o *onewriter) error { // something else
		return o.knock(func(c net.Conn) error {
			_, _ = io.CopyN(c, rand.Reader, 300) // it may hang up before all is sent
			return nil
		})
	},
	func(o *onewriter) error { // killed amid a result
		c := mysql.NewConfig()
		c.User, c.Passwd, c.Net, c.DBName = mysqltest.AppUser, mysqltest.AppPassword, "tcp", "app"
		c.Addr, c.Logger = o.primary, &mysql.NopLogger{}
		c.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &cutConn{conn, 100_000}, err
		}
		connector, err := mysql.NewConnector(c)
		if err != nil {
			return err
		}
		db := sql.OpenDB(connector)
		defer db.Close()
		if rows, err := db.Query("SELECT v FROM bulk"); err == nil { // not all of it comes
			_ = rows.Close()
		}
		return nil
	},
}

func appDSN(addr string) string {
	return fmt.Sprintf("%s:%s@tcp(%s)/app", mysqltest.AppUser, mysqltest.AppPassword, addr)
}

// errStay keeps a connection of knock open.
var errStay = errors.New("stay")

// knock connects, does something and leaves without a word, or stays if that is errStay. It gives the error of do.
func (o *onewriter) knock(do func(net.Conn) error) error {
	c, err := net.DialTimeout("tcp", o.primary, 10*time.Second)
	if err != nil {
		return err
	}
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	err = do(c)
	if !errors.Is(err, errStay) {
		_ = c.Close()
	}
	return err
}

// visit connects n times in all ways.
func visit(t *testing.T, o *onewriter, n int) {
	t.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n) && !t.Failed(); i = next.Add(1) {
				if err := visits[i%int64(len(visits))](o); err != nil {
					t.Errorf("connect %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}

// cutConn breaks after some bytes have been read.
type cutConn struct {
	net.Conn
	left int
}

func (c *cutConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

// waiting is a number of slow peers at a time.
const waiting = 8

// shareRSS is what one session may hold while its peer does not read.
const shareRSS = 1 << 20

// within checks how much more memory is in use than before when waiting sessions are stuck.
func (o *onewriter) within(t *testing.T, before float64) {
	t.Helper()
	if more := o.metric("process_resident_memory_bytes") - before; more > waiting*shareRSS {
		t.Errorf("%.0f bytes more for each of %d sessions", more/waiting, waiting)
	} else {
		t.Logf("%.0f bytes more for each of %d sessions", more/waiting, waiting)
	}
}

// stuck waits until no more bytes are relayed.
func (o *onewriter) stuck(direction string) {
	o.t.Helper()
	name := fmt.Sprintf(`onewriter_relayed_bytes_total{cluster="test",direction=%q,server="a"}`, direction)
	last := -1.0
	o.eventually(30*time.Second, "nothing is relayed any more", func() error {
		now := o.metric(name)
		if now != last {
			last = now
			time.Sleep(500 * time.Millisecond)
			return fmt.Errorf("%.0f bytes so far", now)
		}
		return nil
	})
}

// slowReaders ask for 10 GB each and read 10 MB of it.
func slowReaders(t *testing.T, o *onewriter) {
	const query = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT REPEAT('x', 10000000) FROM n"
	ask := func() *raw {
		r := dialRaw(t, o.primary)
		r.send(append([]byte{wire.ComQuery}, query...)...)
		if _, err := io.CopyN(io.Discard, r.conn, 10<<20); err != nil {
			t.Fatal(err)
		}
		return r
	}
	_ = ask().conn.Close() // fills pools
	before := o.metric("process_resident_memory_bytes")
	readers := make([]*raw, waiting)
	for i := range readers {
		readers[i] = ask()
	}
	o.stuck("to_client")
	o.within(t, before)
	for _, r := range readers {
		_ = r.conn.Close()
	}
}

// slowServer sends files without end to a server that waits for a row lock.
func slowServer(t *testing.T, o *onewriter) {
	db := open(t, o.primary, "")
	mustExec(t, db, "CREATE TABLE awaited (id INT PRIMARY KEY, v TEXT)")
	lock, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec("INSERT INTO awaited VALUES (1, '')"); err != nil {
		t.Fatal(err)
	}
	row := "1\t" + strings.Repeat("v", 10_000) + "\n"
	send := func() *raw {
		r := dialRaw(t, o.primary)
		r.send(append([]byte{wire.ComQuery}, "LOAD DATA LOCAL INFILE 'x' INTO TABLE awaited"...)...)
		if b := r.receive(); b[0] != wire.HeaderInfile {
			t.Fatalf("got %q", b)
		}
		return r
	}
	before := o.metric("process_resident_memory_bytes")
	var wg sync.WaitGroup
	senders := make([]*raw, waiting)
	for i := range senders {
		senders[i] = send()
		wg.Go(func() {
			block := wire.AppendPacket(nil, 0, []byte(strings.Repeat(row, 100)))
			for seq := senders[i].seq; ; seq++ {
				block[3] = seq
				if _, err := senders[i].conn.Write(block); err != nil { // it is closed below
					return
				}
			}
		})
	}
	o.stuck("to_server")
	o.within(t, before)
	for _, r := range senders {
		_ = r.conn.Close()
	}
	wg.Wait()
	if err := lock.Rollback(); err != nil {
		t.Error(err)
	}
}
