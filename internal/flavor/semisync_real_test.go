package flavor

import (
	"testing"
	"time"
)

// The source side is on at a standby: its applier's commits wait for an acknowledgement that nobody gives, and go at once
// when it is switched off.
func TestSemiSyncSourceOffReleasesApplier(t *testing.T) {
	eachPair(t, func(t *testing.T, p *realPair) {
		_, b := p.ends(t)
		r := root(t, p.b)
		if p.db.Kind() != KindMariaDB {
			const closed, opened = "SET GLOBAL super_read_only = 1", "SET GLOBAL super_read_only = 0"
			must(t, r, opened, "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'", closed)
			t.Cleanup(func() { must(t, root(t, p.b), opened, "UNINSTALL PLUGIN rpl_semi_sync_source", closed) })
		}
		for range 3 {
			if err := p.db.SetSemiSyncSource(bounded(t), b, true); err != nil {
				t.Fatal(err)
			}
			must(t, app(t, p.a), "INSERT INTO app.t (v) VALUES (1)", "INSERT INTO app.t (v) VALUES (2)")
			for end := time.Now().Add(5 * time.Second); waitingCommits(t, r) == 0; time.Sleep(2 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("no commit waits")
				}
			}
			begun := time.Now()
			if err := p.db.SetSemiSyncSource(bounded(t), b, false); err != nil {
				t.Fatal(err)
			}
			if n := waitingCommits(t, r); n != 0 {
				t.Errorf("%d commits still wait", n)
			}
			p.level(t)
			if took := time.Since(begun); took > 3*time.Second { // of the timeout of 10
				t.Errorf("it took %s until everything was applied", took)
			}
		}
	})
}

func waitingCommits(t *testing.T, q Querier) (n int) {
	t.Helper()
	const query = "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE '%semi-sync%ACK%'"
	if err := q.QueryRowContext(bounded(t), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
