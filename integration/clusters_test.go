package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// paired is one process that serves two clusters.
type paired struct {
	*onewriter
	listeners map[string]string // by cluster
}

// startTwo runs one onewriter in front of two pairs. poor gets a control account that may do nothing at all.
func startTwo(t *testing.T, first, second *mysqltest.Pair, poor bool) *paired {
	t.Helper()
	dir := t.TempDir()
	p := &paired{onewriter: &onewriter{t: t, dir: dir, admin: freeAddr(t)}, listeners: map[string]string{"left": freeAddr(t), "right": freeAddr(t)}}
	text := "clusters:\n"
	for name, pair := range map[string]*mysqltest.Pair{"left": first, "right": second} {
		control := "{user: onewriter, password: onewriter-secret}"
		if poor && name == "right" {
			control = "{user: app, password: app-secret}"
		}
		text += fmt.Sprintf("  - name: %s\n    servers: [{name: a, address: %q}, {name: b, address: %q}]\n    listeners: [{address: %q, route: primary}]\n"+
			"    replication: {user: repl, password: repl-secret}\n    control: %s\n%s",
			name, pair.Servers[0].Addr(), pair.Servers[1].Addr(), p.listeners[name], control, automaticFailover)
	}
	text += fmt.Sprintf("admin: {address: %q}\nlog: {level: debug}\nstate_dir: %q\n", p.admin, filepath.Join(dir, "state"))
	p.config = filepath.Join(dir, "onewriter.yaml")
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start()
	return p
}

// of is the status of one cluster.
func (p *paired) of(cluster string) clusterStatus {
	p.t.Helper()
	code, body := p.get("/api/v1/clusters/" + cluster)
	var st clusterStatus
	if err := json.Unmarshal([]byte(body), &st); err != nil && code != 0 {
		p.t.Fatalf("status of %s: %d %s", cluster, code, body)
	}
	return st
}

func (p *paired) running(cluster string) {
	p.t.Helper()
	p.eventually(30*time.Second, cluster+" runs", func() error {
		if st := p.of(cluster); st.State != "running" {
			return fmt.Errorf("%s %q", st.State, st.Reasons)
		}
		return nil
	})
}

func startPlain(t *testing.T) *mysqltest.Pair {
	t.Helper()
	mysqltest.RequireFlavor(t, mysqltest.MariaDB)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	pair, err := mysqltest.StartPair(ctx, mysqltest.PairOptions{Flavor: mysqltest.MariaDB})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pair.Close() })
	return pair
}

// Two clusters in one process share nothing but the process: a failover in one is not felt in the other.
func TestTwoClustersShareNothing(t *testing.T) {
	left, right := startPlain(t), startPlain(t)
	p := startTwo(t, left, right, false)
	p.running("left")
	p.running("right")
	l := startPaced(t, p.listeners["right"], 2, 5*time.Millisecond)
	epoch := p.of("right").Epoch
	time.Sleep(500 * time.Millisecond)
	at := time.Now()
	left.Servers[0].Kill9()
	p.eventually(20*time.Second, "the role moves in left", func() error {
		if st := p.of("left"); st.Primary != "b" {
			return fmt.Errorf("%s, primary %q, %q", st.State, st.Primary, st.Reasons)
		}
		return nil
	})
	mustExec(t, open(t, p.listeners["left"], ""), "CREATE TABLE after_failover (id INT PRIMARY KEY)")
	acks, errs := l.end()
	if len(errs) > 0 {
		t.Errorf("clients of right got errors: %v", errs[0])
	}
	if longest := longestPause(acks, at, time.Now()); longest > 5*time.Second || len(acks) == 0 {
		t.Errorf("clients of right waited %s with %d acknowledgements", longest, len(acks))
	}
	if st := p.of("right"); st.State != "running" || st.Primary != "a" || st.Epoch != epoch {
		t.Errorf("right: %+v", st)
	}
	if _, body := p.get("/api/v1/clusters/right/history?kind=begin,end,gate"); strings.Contains(body, `"fo-`) || strings.Contains(body, "held") {
		t.Errorf("the journal of right tells of a failover: %s", body)
	}
	if code, body := p.get("/api/v1/clusters/left/report/last"); code != http.StatusOK || !strings.Contains(body, `"what": "failover"`) || !strings.Contains(body, `"fence": "fenced-by-death"`) {
		t.Errorf("report: %d %s", code, body)
	}
	if code, _ := p.get("/api/v1/clusters/right/report/last"); code != http.StatusNotFound {
		t.Errorf("right has a report: %d", code)
	}
	p.eventually(3*time.Second, "both have a primary for load balancers", func() error {
		for _, cluster := range []string{"left", "right"} {
			if code, body := p.get("/primary/" + cluster); code != http.StatusOK {
				return fmt.Errorf("/primary/%s: %d %s", cluster, code, body)
			}
		}
		return nil
	})
}

// A cluster that cannot be controlled does not keep the other one from being served.
func TestAFailedClusterFailsAlone(t *testing.T) {
	left, right := startPlain(t), startPlain(t)
	p := startTwo(t, left, right, true)
	p.running("left")
	mustExec(t, open(t, p.listeners["left"], ""), "CREATE TABLE served (id INT PRIMARY KEY)")
	if code, body := p.get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "right") || strings.Contains(body, "left") {
		t.Errorf("/readyz: %d %s", code, body)
	}
	p.running("left")
	if !p.process.Running() {
		t.Fatalf("the process ended: %v", p.process.Err())
	}
}
