package flavor

import (
	"testing"
	"time"
)

// A beat gives back the moment it was written at, to the microsecond, on the monotonic clock.
func TestBeatTime(t *testing.T) {
	now := time.Now()
	got, ok := BeatTime(BeatAt(now))
	if d := now.Sub(got); !ok || d < 0 || d > 5*time.Microsecond {
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

// The wall clock was an hour ahead and has been set back, then it is set forth again: beats grow, and none is taken for newer than it is.
func TestBeatWhenTheClockIsSet(t *testing.T) {
	defer ahead.Store(ahead.Load())
	ahead.Add(time.Hour.Microseconds())
	before := time.Now()
	beat := BeatAt(before)
	if got, ok := BeatTime(beat); !ok || before.Sub(got) < 0 || before.Sub(got) > 5*time.Microsecond {
		t.Errorf("set back: written at %s, taken for %s, %t", before, got, ok)
	}
	ahead.Add(time.Hour.Microseconds())
	if got, ok := BeatTime(beat); !ok || got.After(before) {
		t.Errorf("set forth: written at %s, taken for %s, %t", before, got, ok)
	}
	if later := BeatAt(time.Now()); later <= beat {
		t.Errorf("beat %d follows %d", later, beat)
	}
}
