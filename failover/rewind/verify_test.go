package rewind_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/onewriter/onewriter/failover/rewind"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// TestVerifyFindsWhatIsDifferent also lists the rows that both sides have written.
func TestVerifyFindsWhatIsDifferent(t *testing.T) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			x := startDuo(t, mysqltest.PairOptions{Flavor: f})
			x.run(x.a.DB(), "CREATE TABLE app.same (id INT PRIMARY KEY)", "CREATE TABLE app.other (v INT, id INT PRIMARY KEY)", "INSERT INTO app.other VALUES (1, 1)")
			x.part()
			c := x.session(x.a)
			x.run(c, "SET SESSION sql_log_bin = 0", "UPDATE app.other SET v = 2", "SET SESSION sql_log_bin = 1")
			b := x.target()
			b.Name, b.DB = "b", x.b.DB()
			got, err := rewind.Verify(x.ctx(), x.target(), b, []string{"app.other", "app.same"})
			x.check(err)
			if want := (rewind.Comparison{Equal: []string{"app.same"}, Different: []string{"app.other"}}); !reflect.DeepEqual(got, want) {
				t.Errorf("compared %+v, want %+v", got, want)
			}
			if _, err := rewind.Verify(x.ctx(), x.target(), b, []string{"app.none"}); err == nil {
				t.Error("a table that does not exist is no error")
			}
			locker := x.session(x.b)
			x.run(locker, "LOCK TABLES app.same WRITE")
			short, cancel := context.WithTimeout(x.ctx(), 300*time.Millisecond)
			defer cancel()
			if _, err := rewind.Verify(short, x.target(), b, []string{"app.same"}); err == nil {
				t.Error("a table that cannot be read is no error")
			}
			for scans := 1; scans > 0; { // nobody waits for it any more
				x.check(x.ctx().Err())
				x.check(x.b.DB().QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'CHECKSUM%'").Scan(&scans))
			}
			x.run(locker, "UNLOCK TABLES")
			x.run(c, "UPDATE app.other SET v = 5 WHERE id = 1", "INSERT INTO app.same VALUES (1), (2)")
			list := x.errant()
			keys, err := rewind.KeysOf(x.ctx(), x.a.DB(), f == mysqltest.MariaDB, list)
			x.check(err)
			if found := rewind.Conflicts(list, list[:1], keys); len(found) != 1 || found[0].Key != "[1]" || found[0].Table != "other" {
				t.Errorf("conflicts %+v", found)
			}
		})
	}
}
