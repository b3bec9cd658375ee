package demo

import (
	"testing"
	"time"
)

func TestScheduleIsSpreadOverTheLoad(t *testing.T) {
	for length, want := range map[time.Duration]int{time.Second: 2, 6 * time.Second: 2, 20 * time.Second: 6, time.Minute: 20, 0: 1} {
		o := Options{For: length}
		times := o.schedule()
		if len(times) != want {
			t.Errorf("for %s there are %d switchovers, want %d", length, len(times), want)
		}
		before := time.Duration(0)
		for _, at := range times {
			if at <= before || at >= o.duration() {
				t.Errorf("for %s one is at %s, after %s", length, at, before)
			}
			before = at
		}
	}
}

func TestValidateRefusesWhatMakesNoSense(t *testing.T) {
	if err := (Options{Writers: 8, Readers: 4}).Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	for _, o := range []Options{
		{Writers: 0}, {Writers: 1, Readers: -1}, {Writers: maxClients + 1}, {Writers: 1, For: time.Millisecond}, {Writers: 1, For: -time.Second},
	} {
		if o.Validate() == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
