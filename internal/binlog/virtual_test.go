package binlog_test

import (
	"fmt"
	"testing"

	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// TestVirtualColumnsAreInTheImages: with full images nothing is missing, generated columns included.
func TestVirtualColumnsAreInTheImages(t *testing.T) {
	onBoth(t, nil, func(t *testing.T, s *mysqltest.Server) {
		run(t, s.DB(), "CREATE TABLE app.a (id INT PRIMARY KEY, v INT, g INT AS (v + 1) VIRTUAL, p INT AS (v + 2) STORED, w CHAR(5))")
		from := end(t, s)
		run(t, s.DB(), "INSERT INTO app.a (id, v, w) VALUES (1, 1, 'x')", "UPDATE app.a SET v = 2", "DELETE FROM app.a")
		want := map[binlog.ChangeKind]string{binlog.Insert: "[] [1 1 2 3 x]", binlog.Update: "[1 1 2 3 x] [1 2 3 4 x]", binlog.Delete: "[1 2 3 4 x] []"}
		for _, tr := range read(t, s, from, end(t, s)) {
			for _, c := range tr.Changes {
				if tr.Partial || len(c.Missing) > 0 {
					t.Errorf("%s: partial %t, missing %v", c.Kind, tr.Partial, c.Missing)
				}
				if got := fmt.Sprint(c.Before, c.After); got != want[c.Kind] {
					t.Errorf("%s: %s, want %s", c.Kind, got, want[c.Kind])
				}
			}
		}
	})
}
