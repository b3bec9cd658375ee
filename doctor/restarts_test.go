package doctor

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// restart starts b again with other options; it replicates by itself, if it can.
func (w *ward) restart(config map[string]string) {
	w.Helper()
	if !w.mariadb() {
		config["plugin-load"] = "semisync_source.so;semisync_replica.so"
	}
	if err := w.server("b").Restart(w.Context(), config); err != nil {
		w.Fatal(err)
	}
}

// TestRestarts makes findings come and go that depend on options of a start.
func TestRestarts(t *testing.T) {
	onWards(t, func(w *ward) {
		hostname := w.value("b", "SELECT @@hostname AS v", "v")
		sick := map[string]string{
			w.word("log-slave-updates", "log-replica-updates"): "0", "binlog-ignore-db": "nothing", "relay-log": hostname + "-relay-bin",
			w.word("slave-skip-errors", "replica-skip-errors"): "1062", "skip-slave-start": "",
		}
		codes := []string{"LOG_UPDATES_OFF", "BINLOG_FILTER", "RELAY_LOG_NAME", "ERRORS_SKIPPED", "START_WRITABLE"}
		if w.mariadb() {
			sick["lower-case-table-names"] = "1"
			codes = append(codes, "TABLE_NAMES_CASE")
		} else {
			w.copyIdentity()
			codes = append(codes, "SERVER_UUID_DUPLICATE")
		}
		w.restart(sick)
		w.sick("b", codes...)
		w.on("b", w.word("SET GLOBAL read_only=1", "SET GLOBAL super_read_only=1"))
		w.sick("b", "START_WRITABLE") // it is remembered

		w.restart(map[string]string{"skip-log-bin": "", "skip-slave-start": ""})
		w.sick("b", "BINLOG_OFF")

		if !w.mariadb() {
			w.restoreIdentity()
		}
		port := fmt.Sprint(freePort(t))
		w.restart(map[string]string{
			"relay-log-recovery": "1", "read-only": "1", w.word("extra-port", "admin-port"): port,
			w.word("loose-none", "admin-address"): "127.0.0.1",
		})
		w.well("b", "START_WRITABLE", "START_UNKNOWN")
		w.on("b", w.word("SET GLOBAL read_only=1", "SET GLOBAL super_read_only=1"))
		w.running("b")
		w.stop("a", "") // it does not wait for the next attempt to reach b
		w.start("a")
		w.on("a", "INSERT INTO app.t VALUES (3000)")
		w.even()
		w.well("b", append(codes, "BINLOG_OFF", "NO_ADMIN_PORT", "RELAY_LOG_RECOVERY", "START_UNKNOWN")...) // remembered, too
	})
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// copyIdentity gives b the server_uuid of a, as a copied data directory does.
func (w *ward) copyIdentity() {
	w.Helper()
	own := filepath.Join(w.server("b").Dir, "data", "auto.cnf")
	if err := os.Rename(own, own+".own"); err != nil {
		w.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(w.server("a").Dir, "data", "auto.cnf"))
	if err == nil {
		err = os.WriteFile(own, text, 0o600)
	}
	if err != nil {
		w.Fatal(err)
	}
}

func (w *ward) restoreIdentity() {
	w.Helper()
	own := filepath.Join(w.server("b").Dir, "data", "auto.cnf")
	if err := os.Rename(own+".own", own); err != nil {
		w.Fatal(err)
	}
}
