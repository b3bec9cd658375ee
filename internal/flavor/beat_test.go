package flavor

import (
	"testing"
	"time"
)

// A beat gives back the moment it was written at, to the microsecond, on the monotonic clock.
func TestBeatTime(t *testing.T) {
	now := time.Now()
	got, ok := BeatTime(BeatAt(now))
	if d := now.Sub(got); !ok || d < 0 || d > time.Microsecond {
		t.Errorf("written at %s, read back as %s, %t", now, got, ok)
	}
	if got == got.Round(0) {
		t.Error("the time has no monotonic part: a wall clock that is set shows in it")
	}
	old := now.Add(-time.Hour)
	if got, ok := BeatTime(uint64(old.UnixMicro())); !ok || old.Sub(got).Abs() > time.Second {
		t.Errorf("an older process's beat of %s is read as %s, %t", old, got, ok)
	}
	for _, beat := range []uint64{0, BeatAt(now.Add(time.Minute)), 1 << 63} {
		if at, ok := BeatTime(beat); ok {
			t.Errorf("beat %d is of %s", beat, at)
		}
	}
}
