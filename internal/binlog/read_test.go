package binlog_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// shape writes what a transaction does: kinds and tables of its changes and its statements.
func shape(t binlog.Transaction) string {
	var parts []string
	for _, c := range t.Changes {
		parts = append(parts, c.Kind.String()+" "+c.Table)
	}
	for _, s := range t.Statements {
		parts = append(parts, "<"+strings.Join(strings.Fields(s)[:2], " ")+">")
	}
	if t.Partial {
		parts = append(parts, "partial")
	}
	return strings.Join(parts, ", ")
}

func shapes(list []binlog.Transaction) []string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = shape(t)
	}
	return out
}

func TestTransactionsAreReadInOrder(t *testing.T) {
	onBoth(t, nil, func(t *testing.T, s *mysqltest.Server) {
		run(t, s.DB(), "CREATE TABLE app.a (id INT PRIMARY KEY, v INT UNSIGNED)", "CREATE TABLE app.b (id INT PRIMARY KEY, v INT)")
		from, was := end(t, s), history(t, s)
		c := session(t, s)
		run(t, c, "INSERT INTO app.a VALUES (1, 4294967295), (2, 2)")
		run(t, c, "BEGIN", "INSERT INTO app.b VALUES (1, 1)", "SAVEPOINT x", "UPDATE app.a SET v = 3", "ROLLBACK TO x", "DELETE FROM app.a WHERE id = 2", "COMMIT")
		run(t, c, "FLUSH BINARY LOGS", "CREATE TABLE app.c (id INT)", "UPDATE app.b SET v = 2 WHERE id = 1")
		to := end(t, s)
		run(t, c, "DELETE FROM app.b")
		list := read(t, s, from, to)
		want := []string{"insert a, insert a", "insert b, delete a", "<CREATE TABLE>", "update b"}
		if got := shapes(list); !reflect.DeepEqual(got, want) {
			t.Fatalf("read %q, want %q", got, want)
		}
		for i, tr := range list {
			if tr.Server != s.ServerID || tr.GTID == "" || time.Since(tr.At).Abs() > time.Minute || !tr.End.Contains(tr.Place) || tr.End.Equal(tr.Place) {
				t.Errorf("transaction %d: %+v", i, tr)
			}
			if again := read(t, s, tr.Place, tr.End); len(again) != 1 || again[0].GTID != tr.GTID {
				t.Errorf("between %s and %s: %v", tr.Place, tr.End, shapes(again))
			}
		}
		if !list[0].Place.Equal(from) || !list[3].End.Equal(to) {
			t.Errorf("read from %s to %s, want from %s to %s", list[0].Place, list[3].End, from, to)
		}
		u := list[3].Changes[0]
		if fmt.Sprint(u.Before, u.After) != "[1 1] [1 2]" || u.Schema != "app" {
			t.Errorf("update %+v", u)
		}
		errant, err := binlog.Errant(deadline(t), sourceOf(s), s.DB(), was)
		if err != nil || len(errant) != 5 || errant[0].GTID != list[0].GTID {
			t.Errorf("errant: %q, %v", shapes(errant), err)
		}
	})
}

func TestNothingToReadNeedsNoServer(t *testing.T) {
	at := gtid.FilePos("binlog.000001", 700)
	if err := binlog.Read(context.Background(), binlog.Source{Address: "127.0.0.1:1"}, at, at, nil); err != nil {
		t.Error(err)
	}
	if err := binlog.Read(context.Background(), binlog.Source{Address: "127.0.0.1:1"}, at, gtid.FilePos("binlog.000001", 4), nil); err == nil {
		t.Error("reading backwards is no error")
	}
}

func TestWhatIsNoRowChange(t *testing.T) {
	onBoth(t, map[string]string{"binlog-format": "ROW"}, func(t *testing.T, s *mysqltest.Server) {
		run(t, s.DB(), "CREATE TABLE app.a (id INT PRIMARY KEY, v INT, w INT)", "CREATE TABLE app.m (id INT) ENGINE=MyISAM")
		from := end(t, s)
		c := session(t, s)
		run(t, c, "SET SESSION binlog_format = STATEMENT", "INSERT INTO app.a VALUES (1, 1, 1)", "SET SESSION binlog_format = ROW")
		run(t, c, "SET SESSION binlog_row_image = MINIMAL", "UPDATE app.a SET v = 2", "SET SESSION binlog_row_image = FULL")
		run(t, c, "INSERT INTO app.m VALUES (1)", "TRUNCATE app.m", "XA START 'x'", "INSERT INTO app.a VALUES (2, 2, 2)", "XA END 'x'", "XA PREPARE 'x'", "XA COMMIT 'x'")
		got := shapes(read(t, s, from, end(t, s)))
		want := []string{"<INSERT INTO>", "update a, partial", "insert m", "<TRUNCATE app.m>", "insert a, <XA START>, <XA END>, <XA PREPARE>", "<XA COMMIT>"}
		if s.Flavor == mysqltest.MariaDB { // its GTID event says that
			want[4] = strings.Replace(want[4], "<XA START>, ", "", 1)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("read %q, want %q", got, want)
		}
	})
}

func TestCompressedTransactions(t *testing.T) {
	config := map[mysqltest.Flavor]map[string]string{
		mysqltest.MySQL:   {"binlog-transaction-compression": "ON"},
		mysqltest.MariaDB: {"log-bin-compress": "ON", "log-bin-compress-min-len": "10"},
	}
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			s := startServer(t, mysqltest.Options{Flavor: f, Fast: true, Config: config[f]})
			run(t, s.DB(), "CREATE TABLE app.a (id INT PRIMARY KEY, v TEXT) CHARSET utf8mb4")
			from := end(t, s)
			for i := range 3 {
				run(t, s.DB(), fmt.Sprintf("INSERT INTO app.a VALUES (%d, REPEAT('ä', 5000)), (%d, 'x')", i, i+10))
			}
			list := read(t, s, from, end(t, s))
			if len(list) != 3 || len(list[2].Changes) != 2 || list[2].Changes[0].After[0] != int32(2) || len(list[2].Changes[0].After[1].([]byte)) != 10000 {
				t.Fatalf("read %q", shapes(list))
			}
			if !list[0].Place.Equal(from) || !list[1].Place.Equal(list[0].End) || !list[2].End.Equal(end(t, s)) {
				t.Errorf("%s to %s, %s to %s, %s to %s", list[0].Place, list[0].End, list[1].Place, list[1].End, list[2].Place, list[2].End)
			}
		})
	}
}

// TestCrashLeavesPartOfAnEvent appends the beginning of a transaction to the log of a server that was killed.
func TestCrashLeavesPartOfAnEvent(t *testing.T) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			s := startServer(t, mysqltest.Options{Flavor: f})
			run(t, s.DB(), "CREATE TABLE app.a (id INT PRIMARY KEY, v TEXT)")
			from, was := end(t, s), history(t, s)
			run(t, s.DB(), "INSERT INTO app.a VALUES (1, 'one')")
			one := end(t, s)
			run(t, s.DB(), "INSERT INTO app.a VALUES (2, REPEAT('two', 1000))")
			s.Kill9()
			cutIn(t, s, one, 700)
			if err := s.Restart(deadline(t), nil); err != nil {
				t.Fatal(err)
			}
			run(t, s.DB(), "REPLACE INTO app.a VALUES (3, 'three')")
			list := read(t, s, from, end(t, s))
			if got := shapes(list); !reflect.DeepEqual(got, []string{"insert a", "insert a"}) {
				t.Errorf("read %q", got)
			}
			errant, err := binlog.Errant(deadline(t), sourceOf(s), s.DB(), was)
			if err != nil || len(errant) != 2 {
				t.Errorf("errant %q, %v", shapes(errant), err)
			}
		})
	}
}

// cutIn keeps n bytes behind the place at of the server's binary log.
func cutIn(t *testing.T, s *mysqltest.Server, at gtid.Position, n int64) {
	t.Helper()
	file, pos, _ := at.File()
	if err := os.Truncate(filepath.Join(s.Dir, "data", file), int64(pos)+n); err != nil {
		t.Fatal(err)
	}
}

func TestErrorsOfReading(t *testing.T) {
	onBoth(t, nil, func(t *testing.T, s *mysqltest.Server) {
		run(t, s.DB(), "CREATE TABLE app.a (id INT PRIMARY KEY)")
		from, was := end(t, s), history(t, s)
		run(t, s.DB(), "INSERT INTO app.a VALUES (1)", "INSERT INTO app.a VALUES (2)")
		to := end(t, s)
		stop := errors.New("enough")
		n := 0
		if err := binlog.Read(deadline(t), sourceOf(s), from, to, func(binlog.Transaction) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
			t.Errorf("stopped by the reader: %v after %d", err, n)
		}
		file, pos, _ := to.File()
		if err := binlog.Read(deadline(t), sourceOf(s), from, gtid.FilePos(file, pos+1000), func(binlog.Transaction) error { return nil }); !errors.Is(err, binlog.ErrShort) {
			t.Errorf("beyond the end: %v", err)
		}
		wrong := sourceOf(s)
		wrong.Password = "wrong"
		if err := binlog.Read(deadline(t), wrong, from, to, nil); err == nil || !strings.Contains(err.Error(), "1045") {
			t.Errorf("wrong password: %v", err)
		}
		purge(t, s)
		if list, err := binlog.Errant(deadline(t), sourceOf(s), s.DB(), was); !errors.Is(err, binlog.ErrPurged) {
			t.Errorf("purged: %q, %v", shapes(list), err)
		}
		if list, err := binlog.Errant(deadline(t), sourceOf(s), s.DB(), history(t, s)); err != nil || len(list) != 0 {
			t.Errorf("nothing missing: %q, %v", shapes(list), err)
		}
	})
}

// purge leaves one file of the server's binary log. MariaDB keeps files that crash recovery would need a while longer.
func purge(t *testing.T, s *mysqltest.Server) {
	t.Helper()
	run(t, s.DB(), "FLUSH BINARY LOGS")
	for range 100 {
		file, _, _ := end(t, s).File()
		run(t, s.DB(), "PURGE BINARY LOGS TO '"+file+"'")
		if logs, err := binlog.Logs(deadline(t), s.DB()); err != nil || len(logs) == 1 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the server does not purge its binary logs")
}

// TestHangingServer: reading from a stopped server ends with its context.
func TestHangingServer(t *testing.T) {
	onBoth(t, nil, func(t *testing.T, s *mysqltest.Server) {
		from := end(t, s)
		run(t, s.DB(), "CREATE TABLE app.a (id INT PRIMARY KEY)")
		to := end(t, s)
		s.Pause()
		defer s.Continue()
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		began := time.Now()
		err := binlog.Read(ctx, sourceOf(s), from, to, func(binlog.Transaction) error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 10*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// TestTailAndHistoryAtAPlace: the tail is everything from a place on, and before it the server had what it had.
func TestTailAndHistoryAtAPlace(t *testing.T) {
	onBoth(t, nil, func(t *testing.T, s *mysqltest.Server) {
		run(t, s.DB(), "CREATE TABLE app.a (id INT PRIMARY KEY)", "FLUSH BINARY LOGS", "INSERT INTO app.a VALUES (1)")
		from, was := settled(t, s), history(t, s)
		run(t, s.DB(), "INSERT INTO app.a VALUES (2)", "FLUSH BINARY LOGS", "DELETE FROM app.a")
		list, err := binlog.Tail(deadline(t), sourceOf(s), s.DB(), from)
		if err != nil || !reflect.DeepEqual(shapes(list), []string{"insert a", "delete a, delete a"}) || !list[0].Place.Equal(from) {
			t.Errorf("tail %q, %v", shapes(list), err)
		}
		if s.Flavor != mysqltest.MariaDB {
			return
		}
		if got, err := binlog.HistoryAt(deadline(t), sourceOf(s), from); err != nil || !got.Equal(was) {
			t.Errorf("history at %s: %s, %v, want %s", from, got, err, was)
		}
	})
}
