package mysqltest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStopAndPause(t *testing.T) {
	flavors(t, func(t *testing.T, f Flavor) {
		s := start(t, Options{Flavor: f, Fast: true})
		s.Pause()
		short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if err := s.DB().PingContext(short); err == nil {
			t.Error("a paused server answers")
		}
		s.Continue()
		if err := s.DB().PingContext(t.Context()); err != nil {
			t.Errorf("after Continue: %v", err)
		}
		port := s.Port
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.ToLower(s.Log()), "shutdown complete") {
			t.Errorf("Stop did not shut down in order: %s", s.Log())
		}
		if err := s.Restart(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if s.Port != port {
			t.Errorf("port %d became %d", port, s.Port)
		}
		if err := s.DB().PingContext(t.Context()); err != nil {
			t.Errorf("after Restart: %v", err)
		}
	})
}

// ownerVariable makes this test program start a server and wait to be killed.
const ownerVariable = "MYSQLTEST_OWNER"

func TestServersEndWithTheirOwner(t *testing.T) {
	if name := os.Getenv(ownerVariable); name != "" {
		f, _ := ParseFlavor(name)
		s, err := Start(context.Background(), Options{Flavor: f, Fast: true})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("\nserver %d %s\n", s.PID(), s.Dir)
		select {}
	}
	flavors(t, func(t *testing.T, f Flavor) {
		owner := exec.Command(os.Args[0], "-test.run=^TestServersEndWithTheirOwner$")
		owner.Env = append(os.Environ(), ownerVariable+"="+f.String())
		out, err := owner.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := owner.Start(); err != nil {
			t.Fatal(err)
		}
		pid, dir := 0, ""
		for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
			_, _ = fmt.Sscanf(lines.Text(), "server %d %s", &pid, &dir)
		}
		_ = owner.Process.Kill()
		_ = owner.Wait()
		if pid == 0 {
			t.Fatal("the owner started no server")
		}
		for end := time.Now().Add(10 * time.Second); running(pid); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("server %d outlives its owner", pid)
			}
		}
		sweep(f, time.Now().Add(time.Second))
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is not swept: %v", dir, err)
		}
	})
}

// running tells whether a process runs; one that has ended and waits for its parent doesn't.
func running(pid int) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return !os.IsNotExist(err) && syscall.Kill(pid, 0) == nil
	}
	return !strings.Contains(string(b), ") Z ")
}

func TestPortsAreReserved(t *testing.T) {
	port, lock, err := reservePort()
	if err != nil {
		t.Fatal(err)
	}
	path := lock.Name()
	if _, err := lockFile(path); !errors.Is(err, errInUse) {
		t.Errorf("port %d is reserved twice: %v", port, err)
	}
	_ = lock.Close()
	again, err := lockFile(path)
	if err != nil {
		t.Fatalf("port %d stays reserved: %v", port, err)
	}
	_ = again.Close()
}

func TestPairsAreWhatTheySay(t *testing.T) {
	flavors(t, func(t *testing.T, f Flavor) {
		if err := SemiSync(f); err != nil {
			t.Skip(err)
		}
		p, err := StartPair(t.Context(), PairOptions{Flavor: f, SemiSync: true, Fast: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		source, status := "rpl_semi_sync_master_enabled", "Rpl_semi_sync_master_status"
		if f == MySQL {
			word, _ := p.semiSyncWords()
			source, status = "rpl_semi_sync_"+word+"_enabled", "Rpl_semi_sync_"+word+"_status"
		}
		for i, want := range []string{"ON 0", "OFF 1"} {
			s := p.Servers[i]
			row, err := s.Row(t.Context(), "SELECT IF(@@global."+source+", 'ON', 'OFF') AS semisync, @@global.read_only AS ro")
			if err != nil {
				t.Fatal(err)
			}
			if got := row["semisync"] + " " + row["ro"]; got != want {
				t.Errorf("server %d: semi-sync source and read-only are %s, want %s", i, got, want)
			}
		}
		row, err := p.Servers[0].Row(t.Context(), "SHOW GLOBAL STATUS LIKE '"+status+"'")
		if err != nil || row["Value"] != "ON" {
			t.Errorf("semi-sync on the primary: %v %v", row, err)
		}
	})
}
