package integration

import (
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// TestTermination is about SIGTERM: transactions get time to finish, new clients do not come in, the exit code is 0.
func TestTermination(t *testing.T) {
	_, o := startPair(t, mysqltest.PairOptions{Flavor: mysqltest.MariaDB, Fast: true}, "")
	db := open(t, o.primary, "")
	mustExec(t, db, "CREATE TABLE t (id INT PRIMARY KEY)")
	idle := pinnedConn(t, db)
	execOn(t, idle, "DO 1")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	o.process.Signal(syscall.SIGTERM)
	time.Sleep(500 * time.Millisecond)
	if code, _ := o.get("/readyz"); code == http.StatusOK {
		t.Error("readyz is 200 while terminating")
	}
	if conn, err := net.DialTimeout("tcp", o.primary, time.Second); err == nil {
		_ = conn.Close()
		t.Error("new clients can still connect")
	}
	if _, err := tx.Exec("INSERT INTO t VALUES (2)"); err != nil {
		t.Errorf("the open transaction: %v", err)
	}
	if err := tx.Commit(); err != nil {
		t.Errorf("commit of the open transaction: %v", err)
	}
	select {
	case <-o.process.Done():
		if err := o.process.Err(); err != nil {
			t.Errorf("exit: %v", err)
		}
	case <-time.After(8 * time.Second):
		t.Fatal("still running although the last transaction is over")
	}
	o.start() // the same state again
	o.ready()
	var n int
	if err := open(t, o.primary, "").QueryRow("SELECT COUNT(*) FROM t").Scan(&n); err != nil || n != 2 {
		t.Errorf("%d rows after the restart, %v", n, err)
	}
}

// TestTerminationIsBounded: a transaction that does not finish does not keep the program from ending.
func TestTerminationIsBounded(t *testing.T) {
	_, o := startPair(t, mysqltest.PairOptions{Flavor: mysqltest.MariaDB, Fast: true}, "")
	o.restartWith(t, "shutdown: {grace: 1s}\n")
	db := open(t, o.primary, "")
	mustExec(t, db, "CREATE TABLE t (id INT PRIMARY KEY)")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	o.process.Signal(syscall.SIGTERM)
	select {
	case <-o.process.Done():
		if err := o.process.Err(); err != nil {
			t.Errorf("exit: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("still running 10s after SIGTERM with a grace of 1s")
	}
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("ended after %s, without waiting for the transaction", took)
	}
	if err := tx.Commit(); err == nil {
		t.Error("the commit succeeded after the end")
	}
}
