package health

import (
	"time"
)

// beatsKept is how many of our own heartbeats are remembered: about an hour.
const beatsKept = 4096

// beatLog remembers when we wrote which heartbeat, on our own clock, so that a standby's lag is measured without
// trusting any server's clock. Times are those before the write, so lags are never too small. It is owned by the
// collector.
type beatLog struct {
	beats []sentBeat // ascending; acknowledged ones only
}

type sentBeat struct {
	beat uint64
	at   time.Time
}

func (l *beatLog) add(beat uint64, at time.Time) {
	if len(l.beats) >= beatsKept {
		l.beats = append(l.beats[:0:0], l.beats[beatsKept/4:]...)
	}
	l.beats = append(l.beats, sentBeat{beat, at})
}

func (l *beatLog) clear() { l.beats = nil }

// oldestAfter finds the first beat that is not covered by applied.
func (l *beatLog) oldestAfter(applied uint64) (time.Time, bool) {
	for _, b := range l.beats {
		if b.beat > applied {
			return b.at, true
		}
	}
	return time.Time{}, false
}

// settle is how long after our first beat rows of other writers are not trusted: they may be of a proxy that ended.
const settle = 2 * time.Second

// lag is how far a standby that showed row at the moment at is behind; negative when unknown. skew is the primary's
// clock minus ours. With a row of ours the lag is the age of our oldest heartbeat that has not arrived. With a row of
// another proxy it is the row's age beyond the heartbeat period.
func (l *beatLog) lag(writer string, row *beatRow, at time.Time, skew time.Duration) time.Duration {
	switch {
	case row == nil || len(l.beats) == 0:
		return -1
	case row.writer == writer && row.beat >= l.beats[0].beat:
		if oldest, ok := l.oldestAfter(row.beat); ok {
			return max(0, at.Sub(oldest))
		}
		return 0
	case at.Sub(l.beats[0].at) < settle:
		return -1
	default:
		age := at.Add(skew).Sub(row.ts)
		return max(0, age-beatEvery)
	}
}
