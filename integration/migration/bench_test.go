package migration

import (
	"fmt"
	"testing"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

// BenchmarkRebuild moves a session with 8 variables and 10 prepared statements to the other server again and again. The time is
// that of the first command there: login, the rebuild in one write, the command itself; with "statements" also of the first
// execution of each statement, before which it is prepared again.
func BenchmarkRebuild(b *testing.B) {
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		mysqltest.RequireFlavor(b, f)
		for _, statements := range []bool{false, true} {
			name := f.String() + "/session"
			if statements {
				name = f.String() + "/statements"
			}
			b.Run(name, func(b *testing.B) { benchRebuild(b, f, statements) })
		}
	}
}

func benchRebuild(b *testing.B, f mysqltest.Flavor, statements bool) {
	w := newWorker(b, placeOf(b, f))
	defer w.stop()
	addr := w.cluster.Listeners()[0].Addr().String()
	p, err := dial(addr, mysqltest.AppUser, mysqltest.AppPassword, "app", ordinary|wire.ClientDeprecateEOF, 45)
	if err != nil {
		b.Fatal(err)
	}
	defer p.close()
	do := func(s step) {
		text, err := p.do(s)
		if err != nil || len(text) > 3 && text[:3] == "ERR" {
			b.Fatalf("%v: %s, %v", s, text, err)
		}
	}
	do(query("SET sql_mode='ANSI_QUOTES', time_zone='+02:00', sort_buffer_size=77777, lc_time_names='de_DE', sql_notes=0, join_buffer_size=262144, " +
		"group_concat_max_len=4096, net_write_timeout=90"))
	for i := range 10 {
		do(step{kind: kindPrepare, slot: i, sql: fmt.Sprintf("SELECT a, b FROM app.rows4 WHERE a > ? + %d", i)})
		do(step{kind: kindExecute, slot: i, count: 1, types: true})
	}
	for b.Loop() {
		w.publish(1 - w.at)
		do(step{kind: kindPing})
		if statements {
			for i := range 10 {
				do(step{kind: kindExecute, slot: i, count: 1})
			}
		}
	}
}
