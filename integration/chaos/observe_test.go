package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// glance is how often the observers look.
const glance = 20 * time.Millisecond

// every calls fn at each glance until the context ends.
func every(ctx context.Context, fn func()) {
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			fn()
		case <-ctx.Done():
			return
		}
	}
}

// watchFlags records what a server says of itself, on a way that no fault blocks.
func (r *rig) watchFlags(ctx context.Context, server int) {
	s := r.pair.Servers[server]
	db, err := sql.Open("mysql", s.DSN("root", mysqltest.RootPassword, ""))
	if err != nil {
		r.t.Error(err)
		return
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	q := "SELECT @@global.read_only, @@global.read_only"
	if s.Flavor == mysqltest.MySQL {
		q = "SELECT @@global.read_only, @@global.super_read_only"
	}
	every(ctx, func() {
		if r.isHidden(server) {
			return
		}
		short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		f := Flags{Server: serverName(server), Asked: r.now()}
		if err := db.QueryRowContext(short, q).Scan(&f.ReadOnly, &f.Super); err != nil {
			return
		}
		f.Answered = r.now()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.history.Flags = append(r.history.Flags, f)
	})
}

// watchProxy records what the proxy publishes.
func (r *rig) watchProxy(ctx context.Context) {
	every(ctx, func() {
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		asked := r.now()
		st, err := r.prog.status(short)
		if err != nil {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		s := Sample{Asked: asked, Answered: r.now(), Epoch: st.Epoch, Primary: st.Primary, State: st.State}
		if last := len(r.history.Samples) - 1; last >= 0 && same(r.history.Samples[last], s) && last > 0 && same(r.history.Samples[last-1], s) {
			r.history.Samples[last] = s // only the first and the last of equal ones matter
		} else {
			r.history.Samples = append(r.history.Samples, s)
		}
		r.noteAway(st, s)
	})
}

func same(a, b Sample) bool {
	return a.Epoch == b.Epoch && a.Primary == b.Primary && a.State == b.State
}

// awayRecord is a server that was left behind, from the failover to its return.
type awayRecord struct {
	failover int // index
	epoch    uint64
	examined bool
	asked    time.Time // when its rewind was last asked for
}

// noteAway records failovers by the servers that they leave behind. The caller holds mu.
func (r *rig) noteAway(st api.Cluster, s Sample) {
	there := map[string]bool{}
	for _, a := range st.Away {
		if a.Why != "failover" {
			continue
		}
		there[a.Server] = true
		rec := r.away[a.Server]
		if st.Primary != "" && st.Epoch >= a.Epoch && (rec == nil || rec.epoch != a.Epoch) {
			rec = &awayRecord{failover: len(r.history.Failovers), epoch: a.Epoch}
			r.away[a.Server] = rec
			r.history.Failovers = append(r.history.Failovers, Failover{
				At: s.Answered, From: a.Server, To: st.Primary, SemiSync: r.setup.opts.SemiSync, Errant: map[int64]Row{},
			})
		}
		if rec == nil || rec.epoch != a.Epoch {
			continue
		}
		f := &r.history.Failovers[rec.failover]
		f.Fence, f.AtLeast, f.Exact = a.Fence, a.Loss.AtLeast, a.Loss.Exact
		f.Window = time.Duration(a.Loss.WindowMS) * time.Millisecond
	}
	for name, rec := range r.away {
		if !there[name] && len(st.Servers) > 0 {
			r.history.Failovers[rec.failover].Back = true
			delete(r.away, name)
		}
	}
}

// repair skips what a killed MariaDB has applied and does not know of: without GTID its place is kept in a file that is written after
// the commit, so that it executes its last transactions twice (error 1062). Whether they were the same is seen at the end.
func (r *rig) repair() {
	if r.setup.opts.Flavor != mysqltest.MariaDB || !r.setup.opts.FilePos {
		return
	}
	for i, s := range r.pair.Servers {
		row, err := s.Row(r.t.Context(), "SHOW SLAVE STATUS")
		if err != nil || row["Slave_SQL_Running"] != "No" || row["Last_SQL_Errno"] != "1062" {
			continue
		}
		err = r.exec(i, "SET GLOBAL sql_slave_skip_counter=1", "START SLAVE SQL_THREAD")
		r.t.Logf("at %s: %s skips a transaction that it executes twice: %v", r.now().Round(time.Millisecond), serverName(i), err)
	}
}

// welcome examines servers that came back with something of their own, and undoes that.
func (r *rig) welcome(st api.Cluster) {
	for _, a := range st.Away {
		if a.Verdict != "diverged" || st.Operation != nil {
			continue
		}
		r.mu.Lock()
		rec := r.away[a.Server]
		r.mu.Unlock()
		if rec == nil || time.Since(rec.asked) < 5*time.Second {
			continue
		}
		if !rec.examined {
			if err := r.examine(a.Server, st.Primary, rec); err != nil {
				r.t.Logf("at %s: examining %s: %v", r.now().Round(time.Millisecond), a.Server, err)
				continue
			}
			rec.examined = true
		}
		rec.asked = time.Now()
		res, err := r.prog.rejoin(r.t.Context(), a.Server, api.RejoinRequest{Method: "rewind"})
		r.t.Logf("at %s: rewind of %s: %s %d errant %v", r.now().Round(time.Millisecond), a.Server, res.Outcome, len(res.Errant), err)
	}
}

// examine compares the rows that only a returned server has with what the proxy reports of it.
func (r *rig) examine(name, primary string, rec *awayRecord) error {
	old, now := r.server(name), r.server(primary)
	if old < 0 || now < 0 {
		return errors.New("no primary")
	}
	report, err := r.prog.rejoin(r.t.Context(), name, api.RejoinRequest{DryRun: true})
	if err != nil {
		return err
	}
	mine, err := r.rows(old)
	if err != nil {
		return err
	}
	theirs, err := r.rows(now)
	if err != nil {
		return err
	}
	for id := range theirs {
		delete(mine, id)
	}
	reported := 0
	for _, e := range report.Errant {
		reported += e.Tables["app.writes"] + e.Tables["app.transfers"]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f := &r.history.Failovers[rec.failover]
	f.Back, f.Errant, f.Reported = true, mine, reported
	return nil
}

// rows are all rows of writes and transfers on a server; their ids do not overlap.
func (r *rig) rows(server int) (map[int64]Row, error) {
	out := map[int64]Row{}
	db := r.pair.Servers[server].DB()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, table := range []string{"writes", "transfers"} {
		rows, err := db.QueryContext(ctx, "SELECT id, client, server FROM app."+table)
		if err != nil {
			return nil, fmt.Errorf("read %s of %s: %w", table, serverName(server), err)
		}
		for rows.Next() {
			var id int64
			var row Row
			if err := rows.Scan(&id, &row.Client, &row.Server); err != nil {
				_ = rows.Close()
				return nil, err
			}
			out[id] = row
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, err
		}
	}
	return out, nil
}
