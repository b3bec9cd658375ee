package chaos

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// words are what the flavours call things.
type words struct{ status, stop, start, change, host, port, file, pos, execFile, execPos, sourcePort string }

func (r *rig) words() words {
	if r.setup.opts.Flavor == mysqltest.MySQL {
		return words{
			"SHOW REPLICA STATUS", "STOP REPLICA", "START REPLICA", "CHANGE REPLICATION SOURCE TO", "SOURCE_HOST", "SOURCE_PORT", "SOURCE_LOG_FILE",
			"SOURCE_LOG_POS", "Relay_Source_Log_File", "Exec_Source_Log_Pos", "Source_Port",
		}
	}
	return words{
		"SHOW SLAVE STATUS", "STOP SLAVE", "START SLAVE", "CHANGE MASTER TO", "MASTER_HOST", "MASTER_PORT", "MASTER_LOG_FILE",
		"MASTER_LOG_POS", "Relay_Master_Log_File", "Exec_Master_Log_Pos", "Master_Port",
	}
}

// rewire moves replication links back to routes of their own where onewriter made them anew: it knows the servers by the
// addresses that it uses itself, and what is done to those must not be done to the replicas.
func (r *rig) rewire() bool {
	w := r.words()
	moved := false
	for i, s := range r.pair.Servers {
		row, err := s.Row(context.Background(), w.status)
		if err != nil || row == nil {
			r.t.Logf("the link of %s: %v %v", serverName(i), row, err)
			continue
		}
		for j := range r.pair.Servers {
			own := r.link(i, j)
			if _, port, _ := net.SplitHostPort(r.link(proxyEnd, j).Addr()); own == nil || row[w.sourcePort] != port {
				continue
			}
			if err := r.move(i, own.Addr()); err != nil {
				r.t.Errorf("move the link of %s: %v", serverName(i), err)
			}
			moved = true
		}
	}
	return moved
}

// move points the link of a server at another address of the same source.
func (r *rig) move(server int, addr string) error {
	w := r.words()
	if err := r.exec(server, w.stop); err != nil {
		return err
	}
	row, err := r.pair.Servers[server].Row(context.Background(), w.status)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	q := fmt.Sprintf("%s %s='%s', %s=%s", w.change, w.host, host, w.port, port)
	if r.setup.opts.FilePos {
		q += fmt.Sprintf(", %s='%s', %s=%s", w.file, row[w.execFile], w.pos, row[w.execPos])
	}
	return r.exec(server, q, w.start)
}

// semiSync checks that the primary of a semi-sync pair waits for acknowledgements, and makes it so.
func (r *rig) semiSync(after string) {
	p := r.primary()
	if !r.setup.opts.SemiSync || p < 0 {
		return
	}
	status, on := "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_status'", "SET GLOBAL rpl_semi_sync_master_enabled=1"
	if r.setup.opts.Flavor == mysqltest.MySQL {
		status, on = "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_source_status'", "SET GLOBAL rpl_semi_sync_source_enabled=1"
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		row, err := r.pair.Servers[p].Row(context.Background(), status)
		if err == nil && row["Value"] == "ON" {
			return
		}
		if time.Now().After(deadline) {
			r.t.Errorf("at %s: semi-sync is off on %s after %s (%v, %v)", r.now().Round(time.Millisecond), serverName(p), after, row, err)
			if err := r.exec(p, on); err != nil {
				r.t.Error(err)
			}
			return
		}
	}
}
