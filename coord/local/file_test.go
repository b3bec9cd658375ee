package local

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/topology"
)

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path, "orders", "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func state(epoch topology.Epoch, name string) coord.State {
	return coord.State{Cluster: "orders", Epoch: epoch, Primary: topology.Instance{Name: name, Address: "127.0.0.1:3306"}, SavedAt: time.Unix(1000, 0).UTC()}
}

func TestFileKeepsStateAcrossOpens(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "deep", "orders.json")
	f := open(t, path)
	if _, found, err := f.Load(ctx); found || err != nil {
		t.Fatalf("a missing file: found %v, err %v", found, err)
	}
	want := state(3, "b")
	want.Phase, want.Target = coord.PhaseSwitching, "a"
	if err := f.Save(ctx, want); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got, found, err := open(t, path).Load(ctx)
	if err != nil || !found || !got.Same(want) || !got.SavedAt.Equal(want.SavedAt) {
		t.Fatalf("got %+v found %v err %v, want %+v", got, found, err, want)
	}
}

func TestFileRefusesOlderEpoch(t *testing.T) {
	ctx, f := context.Background(), open(t, filepath.Join(t.TempDir(), "s.json"))
	if err := f.Save(ctx, state(5, "a")); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(ctx, state(4, "b")); err == nil {
		t.Fatal("epoch 4 was stored over epoch 5")
	}
}

func TestFileIsLockedAgainstSecondDecider(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.json")
	open(t, path)
	if _, err := Open(path, "orders", "second"); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Fatalf("second decider got %v", err)
	}
}

func TestFileLeavesOldContentWhenWriteFails(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "s.json")
	f := open(t, path)
	if err := f.Save(ctx, state(1, "a")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+".tmp", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(ctx, state(2, "b")); err == nil {
		t.Fatal("writing over a directory succeeded")
	}
	if err := os.RemoveAll(path + ".tmp"); err != nil {
		t.Fatal(err)
	}
	got, _, err := f.Load(ctx)
	if err != nil || got.Epoch != 1 {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestFileRejectsBadContent(t *testing.T) {
	for name, content := range map[string]string{
		"empty":        "",
		"truncated":    `{"version":1,"cluster":"ord`,
		"too new":      `{"version":2,"cluster":"orders","epoch":1,"primary":"a","phase":"settled"}`,
		"other":        `{"version":1,"cluster":"other","epoch":1,"primary":"a","phase":"settled"}`,
		"no primary":   `{"version":1,"cluster":"orders","epoch":1,"phase":"settled"}`,
		"no epoch":     `{"version":1,"cluster":"orders","primary":"a","phase":"settled"}`,
		"unknown word": `{"version":1,"cluster":"orders","epoch":1,"primary":"a","phase":"dancing"}`,
		"huge":         strings.Repeat(" ", maxStateFile+1),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s.json")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, found, err := open(t, path).Load(context.Background()); err == nil {
				t.Fatalf("accepted, found=%v", found)
			}
		})
	}
}

// What Save stores Load reads, also with the histories of a server that is away; what it could not read is not stored.
func TestFileWithLongHistories(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "s.json")
	f := open(t, path)
	long := state(3, "b")
	long.Away = []coord.Departure{{Server: "a", Epoch: 3, Seen: strings.Repeat("0", 100<<10), Promoted: strings.Repeat("1", 100<<10)}}
	if err := f.Save(ctx, long); err != nil {
		t.Fatal(err)
	}
	if got, found, err := f.Load(ctx); err != nil || !found || !got.Same(long) {
		t.Fatalf("found %v, err %v", found, err)
	}
	longer := state(4, "b")
	longer.Away = []coord.Departure{{Server: "a", Epoch: 4, Seen: strings.Repeat("0", maxStateFile)}}
	if err := f.Save(ctx, longer); err == nil {
		t.Error("a state was stored that cannot be loaded")
	}
	if got, _, err := f.Load(ctx); err != nil || !got.Same(long) {
		t.Errorf("after a refusal: %v", err)
	}
}
