package mysqltest

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"
)

func flavors(t *testing.T, run func(t *testing.T, f Flavor)) {
	for _, f := range []Flavor{MariaDB, MySQL} {
		t.Run(f.String(), func(t *testing.T) {
			RequireFlavor(t, f)
			run(t, f)
		})
	}
}

func TestServerSurvivesKillAndRestart(t *testing.T) {
	flavors(t, func(t *testing.T, f Flavor) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		s, err := Start(ctx, Options{Flavor: f})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.DB().ExecContext(ctx, "CREATE DATABASE kept"); err != nil {
			t.Error(err)
		}
		pid := s.PID()
		s.Kill9()
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d is alive after Kill9", pid)
		}
		if err := s.Restart(ctx, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := s.DB().ExecContext(ctx, "USE kept"); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.Dir); !os.IsNotExist(err) {
			t.Errorf("directory %s is left behind", s.Dir)
		}
	})
}

func TestPairsReplicate(t *testing.T) {
	flavors(t, func(t *testing.T, f Flavor) {
		for name, o := range map[string]PairOptions{
			"circular":      {},
			"star of three": {Star: true, Standbys: 2},
			"file position": {FilePos: true},
			"semi-sync":     {SemiSync: true},
		} {
			t.Run(name, func(t *testing.T) { pairReplicates(t, f, o) })
		}
	})
}

func pairReplicates(t *testing.T, f Flavor, o PairOptions) {
	if err := SemiSync(f); o.SemiSync && err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	o.Flavor, o.Fast = f, true
	p, err := StartPair(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if _, err := p.Servers[0].DB().ExecContext(ctx, "CREATE TABLE app.t (id INT PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	if err := p.await(ctx, p.Servers[1:]); err != nil {
		t.Fatal(err)
	}
	for i, s := range p.Servers[1:] {
		deadline := time.Now().Add(10 * time.Second)
		for {
			row, err := s.Row(ctx, "SELECT COUNT(*) AS n FROM information_schema.tables WHERE table_schema='app'")
			if err == nil && row["n"] == "1" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("standby %d has no table: %v %v", i, row, err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}
