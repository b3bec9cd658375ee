package rejoin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// A server that was restored with mariadb-backup has an empty binary log and a place to go on from, which is enough, and
// which attaching it must not take away.
func TestRestoredFromBackup(t *testing.T) {
	s := startScene(t, mysqltest.PairOptions{Flavor: mysqltest.MariaDB})
	old, d := s.leave(killed)
	s.crash(old)
	s.waitFor("the old primary's own link to fetch", func() bool { return s.rows(old) == s.rows(s.primary) })
	s.quarantine(old)
	place := s.observe(s.primary).Position.Newest()
	s.exec(old, "RESET MASTER")
	s.exec(old, "SET GLOBAL gtid_slave_pos = '"+place.String()+"'")
	s.write(s.primary, 2)
	s.judge(old, d, Clean)
	s.bringBack(old, d, Account{})
}

// The server was restored from an older copy of another server under a new server_uuid, but with its server_id: what it
// wrote before under the old one would be skipped.
func TestRebuiltUnderAnotherUUID(t *testing.T) {
	s := startScene(t, mysqltest.PairOptions{Flavor: mysqltest.MySQL})
	before := s.observe(s.primary).Position
	s.write(s.primary, 3)
	old, d := s.leave(func(old *node) {
		if err := stopLinks(s.t.Context(), old.Server); err != nil {
			s.t.Fatal(err)
		}
	})
	s.quarantine(old)
	if err := flavor.ReplaceHistory(t.Context(), old.root, old.Dialect, before); err != nil {
		t.Fatal(err)
	}
	old.proc.Kill9()
	if err := os.Remove(filepath.Join(old.proc.Dir, "data", "auto.cnf")); err != nil {
		t.Fatal(err)
	}
	s.crash(old)
	s.quarantine(old)
	if got := s.observe(old).ServerUUID; got == d.UUID {
		t.Fatalf("the server_uuid is %s as before", got)
	}
	s.judge(old, d, RebuiltWithSameID)
	d.Seen, d.UUID = "", "" // and when nothing was seen of it, its transactions are found in the primary's log
	j := s.judge(old, d, RebuiltWithSameID)
	if !strings.Contains(strings.Join(j.Reasons, " "), "wrote itself") {
		t.Errorf("%q", j.Reasons)
	}
}

// The binary logs that a server needs are gone.
func TestOutOfReach(t *testing.T) {
	s := startScene(t, mysqltest.PairOptions{Flavor: mysqltest.MySQL})
	old, d := s.leave(func(old *node) {
		if err := stopLinks(s.t.Context(), old.Server); err != nil {
			s.t.Fatal(err)
		}
	})
	s.quarantine(old)
	s.exec(s.primary, "FLUSH BINARY LOGS")
	s.exec(s.primary, "PURGE BINARY LOGS BEFORE '"+time.Now().Add(48*time.Hour).UTC().Format(time.DateTime)+"'")
	s.judge(old, d, Unknown)
}

func TestCommandsNameBothServers(t *testing.T) {
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		s := startScene(t, mysqltest.PairOptions{Flavor: f})
		text := strings.Join(Commands(s.a.Server, s.b.Server), "\n")
		host, port, err := s.b.hostPort()
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"onewriter rejoin a", host, strings.TrimPrefix(s.b.Instance.Address, host+":")}
		if port == 0 || f == mysqltest.MySQL {
			want = append(want, "CLONE INSTANCE FROM 'onewriter'@", "BACKUP_ADMIN", "CLONE_ADMIN", "mysql_clone.so")
		} else {
			want = append(want, "mariadb-backup --backup", "--prepare", "gtid_slave_pos")
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: no %q in\n%s", f, w, text)
			}
		}
		if strings.Contains(text, mysqltest.ControlPassword) {
			t.Error("a password is printed")
		}
	}
}
