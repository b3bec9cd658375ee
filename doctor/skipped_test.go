package doctor

import (
	"fmt"
	"testing"
)

// TestZSkipped runs last, because it spoils the pair: transactions arrive at b under its own server id, as after a
// rebuild of b from a backup of a.
func TestZSkipped(t *testing.T) {
	onWards(t, func(w *ward) {
		w.well("b", "EVENTS_SKIPPED", "HISTORY_DIVERGED")
		b, a := w.server("b").ServerID, w.server("a").ServerID
		c := w.conn("a")
		c.exec(fmt.Sprintf("SET %s server_id=%d", w.word("SESSION", "GLOBAL"), b))
		if w.mariadb() {
			c.exec("INSERT INTO app.t VALUES (4000)")
		} else {
			fresh := w.fresh("a")
			fresh.exec("INSERT INTO app.t VALUES (4000)")
			_ = fresh.Close()
		}
		c.exec(fmt.Sprintf("SET %s server_id=%d", w.word("SESSION", "GLOBAL"), a))
		_ = c.Close()
		last := w.fresh("a")
		last.exec("INSERT INTO app.t VALUES (4001)")
		_ = last.Close()
		w.eventually("what came later arrives", func() bool {
			return w.value("b", "SELECT COUNT(*) AS n FROM app.t WHERE id=4001", "n") == "1"
		})
		if n := w.value("b", "SELECT COUNT(*) AS n FROM app.t WHERE id=4000", "n"); n != "0" {
			t.Fatal("b did not skip what carries its id")
		}
		w.running("b")
		w.sick("b", "EVENTS_SKIPPED")
		w.well("b", "HISTORY_DIVERGED", "LINK_BROKEN")
		if len(w.d.Blocking()) == 0 {
			w.Error("it does not block")
		}
	})
}
