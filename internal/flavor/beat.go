package flavor

import "time"

// began ties this process's monotonic clock to the wall clock, once.
var began = time.Now()

// BeatAt is the value of a heartbeat row that is written at t, in microseconds since 1970. It goes by the monotonic clock of this
// process, set to the wall clock when the process began: a wall clock that is set back or forth under way does not show in it.
func BeatAt(t time.Time) uint64 {
	return uint64(began.UnixMicro() + t.Sub(began).Microseconds()) //nolint:gosec // after 1970
}

// BeatTime is when the row with this value was written, if this process wrote it; of another's row it is that by the wall clock of
// its beginning. ok is false for 0, and for a time that has not come yet: then the clock that it was told by is another one.
func BeatTime(beat uint64) (t time.Time, ok bool) {
	if beat == 0 || beat > BeatAt(time.Now()) {
		return time.Time{}, false
	}
	return began.Add(time.Duration(int64(beat)-began.UnixMicro()) * time.Microsecond), true //nolint:gosec // not above now
}
