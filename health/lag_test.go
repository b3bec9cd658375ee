package health

import (
	"testing"
	"time"
)

func TestBeatLogLag(t *testing.T) {
	zero := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return zero.Add(time.Duration(s * float64(time.Second))) }
	var l beatLog
	if got := l.lag("me", &beatRow{writer: "me", beat: 1}, at(0), 0); got >= 0 {
		t.Errorf("without a heartbeat of ours: %s", got)
	}
	for i := range 10 {
		l.add(uint64(101+i), at(float64(i)))
	}
	const ahead = time.Hour // the primary's clock
	tests := []struct {
		name string
		row  *beatRow
		at   float64
		want time.Duration
	}{
		{"no row", nil, 9, -1},
		{"all arrived", &beatRow{writer: "me", beat: 110}, 9.5, 0},
		{"all arrived, nothing new for long", &beatRow{writer: "me", beat: 110}, 90, 0},
		{"newest under way", &beatRow{writer: "me", beat: 109}, 9.3, 300 * time.Millisecond},
		{"stuck after the first", &beatRow{writer: "me", beat: 101}, 9, 8 * time.Second},
		{"a former life of ours, soon", &beatRow{writer: "me", beat: 7, ts: at(-600).Add(ahead)}, 1, -1},
		{"a former life of ours, still there", &beatRow{writer: "me", beat: 7, ts: at(-600).Add(ahead)}, 9, 608 * time.Second},
		{"another proxy's", &beatRow{writer: "you", beat: 7, ts: at(8.5).Add(ahead)}, 9, 0},
		{"another proxy's, old", &beatRow{writer: "you", beat: 7, ts: at(4).Add(ahead)}, 9, 4 * time.Second},
	}
	for _, tt := range tests {
		if got := l.lag("me", tt.row, at(tt.at), ahead); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestBeatLogIsBounded(t *testing.T) {
	var l beatLog
	for i := range 3 * beatsKept {
		l.add(uint64(i), time.Time{})
	}
	if n := len(l.beats); n > beatsKept || n < beatsKept/2 || l.beats[n-1].beat != 3*beatsKept-1 {
		t.Errorf("%d kept", n)
	}
}
