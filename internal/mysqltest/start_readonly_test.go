package mysqltest

import (
	"net"
	"strings"
	"testing"
	"time"
)

// TestPairsStartReadOnly checks that a pair has one open server, by way of the routes it was given, and that it is
// closed after a crash.
func TestPairsStartReadOnly(t *testing.T) {
	flavors(t, func(t *testing.T, f Flavor) {
		routes := map[[2]int]string{}
		p, err := StartPair(t.Context(), PairOptions{Flavor: f, Fast: true, StartReadOnly: true, Route: func(from, to int, addr string) string {
			_, port, _ := net.SplitHostPort(addr)
			routes[[2]int{from, to}] = "localhost:" + port
			return routes[[2]int{from, to}]
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		if len(routes) != 2 {
			t.Errorf("routes asked for: %v", routes)
		}
		q, host := "SHOW SLAVE STATUS", "Master_Host"
		if p.Servers[0].in.replicaWords() {
			q, host = "SHOW REPLICA STATUS", "Source_Host"
		}
		for i, s := range p.Servers {
			if row, err := s.Row(t.Context(), q); err != nil || row[host] != "localhost" {
				t.Errorf("server %d replicates from %q, %v", i, row[host], err)
			}
			wantReadOnly(t, s, i == 1)
		}
		p.Servers[0].Kill9()
		if err := p.Servers[0].Restart(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		wantReadOnly(t, p.Servers[0], true)
	})
}

func wantReadOnly(t *testing.T, s *Server, want bool) {
	t.Helper()
	q := "SELECT @@global.read_only AS ro"
	if s.in.superReadOnly() {
		q = "SELECT @@global.super_read_only AS ro"
	}
	row, err := s.Row(t.Context(), q)
	if err != nil || (row["ro"] == "1") != want {
		t.Errorf("read-only is %q, %v; want %v", row["ro"], err, want)
	}
}

func TestDiskFills(t *testing.T) {
	if err := Disk(); err != nil {
		t.Skip(err)
	}
	s := start(t, Options{DiskMB: 300})
	if _, err := s.DB().ExecContext(t.Context(), "CREATE TABLE mysql.big (id INT PRIMARY KEY AUTO_INCREMENT, b LONGBLOB)"); err != nil {
		t.Fatal(err)
	}
	if err := s.FillDisk(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		var err error
		for range 30 {
			if _, err = s.DB().Exec("INSERT INTO mysql.big (b) VALUES (REPEAT('x', 4000000))"); err != nil {
				break
			}
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("120 MB fit on a full disk")
		}
	case <-time.After(3 * time.Second): // the server waits for room
	}
	if err := s.FreeDisk(); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(t.Context(), nil); err != nil {
		t.Fatalf("%v\n%s", err, strings.TrimSpace(s.Log()))
	}
	if _, err := s.DB().ExecContext(t.Context(), "INSERT INTO mysql.big (b) VALUES ('room again')"); err != nil {
		t.Error(err)
	}
}
