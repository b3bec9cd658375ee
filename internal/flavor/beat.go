package flavor

import (
	"sync/atomic"
	"time"
)

// began ties this process's monotonic clock to the wall clock; ahead is the wall clock's reading at that moment in microseconds since
// 1970, as the furthest that the wall clock has shown since would have it.
var (
	began = time.Now()
	ahead atomic.Int64
)

// BeatAt is the value of a heartbeat row that is written at t, in microseconds since 1970. It goes by the monotonic clock of this
// process: a wall clock that is set back does not show in it. One that is set forth, as after a suspension, does.
func BeatAt(t time.Time) uint64 {
	elapsed := t.Sub(began).Microseconds()
	for {
		old, now := ahead.Load(), t.UnixMicro()-elapsed
		if now <= old {
			return uint64(old + elapsed) //nolint:gosec // after 1970
		}
		ahead.CompareAndSwap(old, now)
	}
}

// BeatTime is when the row with this value was written, if this process wrote it, or earlier if the wall clock was set forth since. Of
// another's row it is that by the other's clock. ok is false for 0, and for a time that has not come yet: then the clock that it was told
// by says nothing here.
func BeatTime(beat uint64) (t time.Time, ok bool) {
	if beat == 0 || beat > BeatAt(time.Now()) {
		return time.Time{}, false
	}
	return began.Add(time.Duration(int64(beat)-ahead.Load()) * time.Microsecond), true //nolint:gosec // not above now
}
