package integration

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// TestReplicaThroughListener lets a server replicate through the listener of the primary, semi-synchronously: no commit ends
// without an acknowledgement that came back through the proxy, while the stream goes on the other way.
func TestReplicaThroughListener(t *testing.T) {
	for _, f := range bothFlavors {
		t.Run(f.String(), func(t *testing.T) {
			mysqltest.RequireFlavor(t, f)
			if err := mysqltest.SemiSync(f); err != nil {
				t.Skip(err)
			}
			pair, o := startPair(t, mysqltest.PairOptions{Flavor: f, SemiSync: true, Fast: true}, "    health: {heartbeat: false}\n")
			r := &replica{t: t, flavor: f, source: pair.Servers[0], o: o}
			mustExec(t, r.source.DB(), "CREATE TABLE app.acknowledged (id INT PRIMARY KEY AUTO_INCREMENT, v MEDIUMTEXT)")
			r.start(pair.Servers[1])
			ways := []string{"uncompressed", "zlib"}
			if f == mysqltest.MySQL {
				ways = append(ways, "zstd")
			}
			for _, way := range ways {
				t.Run(way, func(t *testing.T) { r.replicates(t, way) })
			}
			if !longTests() {
				return
			}
			hops := []string{"zlib"}
			if f == mysqltest.MySQL {
				hops = append(hops, "zstd")
			}
			before := "    health:"
			for _, hop := range hops {
				now := "    server_compression: " + hop + "\n    health:"
				edit(t, o.config, before, now)
				o.restartWith(t, "")
				before = now
				for _, way := range ways {
					t.Run(way+" and "+hop+" to the server", func(t *testing.T) { r.replicates(t, way) })
				}
			}
		})
	}
}

// replica is a server outside the cluster that follows its primary through the proxy, and the only one that acknowledges.
type replica struct {
	t      *testing.T
	flavor mysqltest.Flavor
	source *mysqltest.Server
	o      *onewriter
	server *mysqltest.Server
}

// words are the flavours' names of what replicas do.
func (r *replica) words(text string) string {
	if r.flavor == mysqltest.MariaDB {
		return strings.NewReplacer("REPLICA", "SLAVE", "replica", "slave", "source", "master").Replace(text)
	}
	return text
}

func (r *replica) start(standby *mysqltest.Server) {
	config := map[string]string{"rpl-semi-sync-slave-enabled": "1"}
	if r.flavor == mysqltest.MySQL {
		config = map[string]string{"plugin-load": "semisync_replica.so", "loose-rpl-semi-sync-replica-enabled": "1"}
	}
	var err error
	if r.server, err = mysqltest.Start(context.Background(), mysqltest.Options{Flavor: r.flavor, Fast: true, Config: config}); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = r.server.Close() })
	for _, q := range []string{"SET GLOBAL rpl_semi_sync_replica_enabled=0", "STOP REPLICA", "START REPLICA"} {
		mustExec(r.t, standby.DB(), r.words(q))
	}
}

// follow makes the server replicate with a compression.
func (r *replica) follow(t *testing.T, compression string) {
	host, port, _ := net.SplitHostPort(r.o.primary)
	how := fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_HOST='%s', SOURCE_PORT=%s, SOURCE_USER='%s', SOURCE_PASSWORD='%s', SOURCE_AUTO_POSITION=1, "+
		"SOURCE_CONNECT_RETRY=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_COMPRESSION_ALGORITHMS='%s'", host, port, mysqltest.ReplicationUser, mysqltest.ReplicationPassword, compression)
	if r.flavor == mysqltest.MariaDB {
		on := strconv.FormatBool(compression == "zlib")
		mustExec(t, r.server.DB(), "SET GLOBAL slave_compressed_protocol="+on)
		how = fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%s, MASTER_USER='%s', MASTER_PASSWORD='%s', MASTER_USE_GTID=slave_pos, "+
			"MASTER_CONNECT_RETRY=1", host, port, mysqltest.ReplicationUser, mysqltest.ReplicationPassword)
	}
	for _, q := range []string{"STOP REPLICA", how, "START REPLICA"} {
		mustExec(t, r.server.DB(), r.words(q))
	}
}

// status is a status variable of the source.
func (r *replica) status(t *testing.T, name string) (n int) {
	t.Helper()
	row, err := r.source.Row(t.Context(), "SHOW GLOBAL STATUS LIKE '"+r.words(name)+"'")
	if err != nil {
		t.Fatal(err)
	}
	n, err = strconv.Atoi(row["Value"])
	if err != nil {
		t.Fatalf("%s: %v", name, row)
	}
	return n
}

// receiver is the state of the connection to the source, with its last error.
func (r *replica) receiver(t *testing.T) string {
	t.Helper()
	row, err := r.server.Row(t.Context(), r.words("SHOW REPLICA STATUS"))
	if err != nil {
		t.Fatal(err)
	}
	name := "Replica_IO_Running"
	if r.flavor == mysqltest.MariaDB {
		name = "Slave_IO_Running"
	}
	return row[name] + " " + row["Last_IO_Error"]
}

func (r *replica) replicates(t *testing.T, compression string) {
	r.follow(t, compression)
	r.o.eventually(30*time.Second, "the replica acknowledges", func() error {
		if n := r.status(t, "Rpl_semi_sync_source_clients"); n != 1 {
			return fmt.Errorf("%d replicas do; %s", n, r.receiver(t))
		}
		return nil
	})
	before := r.status(t, "Rpl_semi_sync_source_yes_tx")
	const commits = 80
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for i := range commits {
		if _, err := r.source.DB().ExecContext(ctx, "INSERT INTO app.acknowledged (v) VALUES (REPEAT(?, ?))", string(rune('a'+i%26)), 1+i*i*i*i/1000); err != nil { // up to 39 KB
			t.Fatalf("commit %d: %v; %s", i, err, r.receiver(t))
		}
	}
	if n := r.status(t, "Rpl_semi_sync_source_yes_tx") - before; n < commits {
		t.Errorf("%d of %d commits were acknowledged", n, commits)
	}
	sum := "SELECT CONCAT(COUNT(*), ' ', SUM(CRC32(v))) AS sum FROM app.acknowledged"
	want, err := r.source.Row(t.Context(), sum)
	if err != nil {
		t.Fatal(err)
	}
	r.o.eventually(30*time.Second, "the replica has all rows", func() error {
		got, err := r.server.Row(t.Context(), sum)
		if err == nil && got["sum"] != want["sum"] {
			err = fmt.Errorf("%v, want %v", got, want)
		}
		return err
	})
	if state := r.receiver(t); state != "Yes " {
		t.Errorf("the connection is %q", state)
	}
}
