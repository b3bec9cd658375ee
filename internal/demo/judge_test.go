package demo

import (
	"testing"
	"time"
)

const ms = time.Millisecond

func TestLongestGapIsOverAllClientsAndNeedsNoOrder(t *testing.T) {
	for name, c := range map[string]struct {
		told []time.Duration
		want time.Duration
	}{
		"nothing":             {nil, 0},
		"one write":           {[]time.Duration{5 * ms}, 0},
		"clients interleave":  {[]time.Duration{10 * ms, 40 * ms, 20 * ms, 30 * ms}, 10 * ms},
		"a pause":             {[]time.Duration{10 * ms, 11 * ms, 60 * ms, 61 * ms}, 49 * ms},
		"a transaction's ids": {[]time.Duration{10 * ms, 10 * ms, 10 * ms}, 0},
	} {
		var acks []ack
		for i, told := range c.told {
			acks = append(acks, ack{id: int64(i + 1), told: told})
		}
		if got, at := longestGap(acks, always); got != c.want || (name == "a pause" && at != 11*ms) {
			t.Errorf("%s: the longest gap is %s from %s, want %s", name, got, at, c.want)
		}
	}
}

func TestLongestGapOfSomeTimesOnly(t *testing.T) {
	acks := []ack{{told: 10 * ms}, {told: 90 * ms}, {told: 95 * ms}, {told: 125 * ms}, {told: 126 * ms}}
	reigns := []reign{{from: 0, to: 100 * ms}, {from: 120 * ms, to: 200 * ms}}
	gap, at := longestGap(acks, func(from, to time.Duration) bool { return betweenReigns(from, to, reigns) })
	if gap != 30*ms || at != 95*ms {
		t.Errorf("%s from %s, want the 30 ms around the switchover", gap, at)
	}
}

func TestAPauseBelongsToASwitchoverWhenTheyOverlap(t *testing.T) {
	reigns := []reign{{from: 0, to: 100 * ms}, {from: 120 * ms, to: 200 * ms}}
	for _, c := range []struct {
		from, to time.Duration
		want     bool
	}{{50 * ms, 90 * ms, false}, {90 * ms, 110 * ms, true}, {105 * ms, 110 * ms, true}, {110 * ms, 150 * ms, true}, {130 * ms, 150 * ms, false}, {190 * ms, 250 * ms, false}} {
		if got := betweenReigns(c.from, c.to, reigns); got != c.want {
			t.Errorf("from %s to %s: %v", c.from, c.to, got)
		}
	}
}

func TestARowIsLostWhenEitherServerLacksIt(t *testing.T) {
	acks := []ack{{id: 1}, {id: 2}, {id: 3}, {id: 9}}
	both := table{writers: []uint32{0, 7, 7, 7, 7}}
	without2 := table{writers: []uint32{0, 7, 0, 7}}
	if n := lost(acks[:3], []table{both, both}); n != 0 {
		t.Errorf("%d rows lost, want none", n)
	}
	if n := lost(acks[:3], []table{both, without2}); n != 1 {
		t.Errorf("%d rows lost, want the one that the second server lacks", n)
	}
	if n := lost(acks, []table{without2, both}); n != 2 {
		t.Errorf("%d rows lost, want row 2 and the one beyond the end", n)
	}
}

func TestRowsAreJudgedWithinReignsOnly(t *testing.T) {
	reigns := []reign{{server: 1, from: 0, to: 100 * ms}, {server: 2, from: 120 * ms, to: 200 * ms}}
	row := func(invoked, told time.Duration, writer uint32) (int, int) {
		return wrongWriters([]ack{{id: 1, invoked: invoked, told: told}}, reigns, table{writers: []uint32{0, writer}})
	}
	for name, c := range map[string]struct {
		invoked, told  time.Duration
		writer         uint32
		wrong, checked int
	}{
		"right":                    {10 * ms, 20 * ms, 1, 0, 1},
		"wrong":                    {10 * ms, 20 * ms, 2, 1, 1},
		"right in the second":      {130 * ms, 140 * ms, 2, 0, 1},
		"wrong in the second":      {130 * ms, 140 * ms, 1, 1, 1},
		"across the end":           {90 * ms, 110 * ms, 2, 0, 0},
		"begun between two reigns": {110 * ms, 130 * ms, 1, 0, 0},
		"after the last":           {190 * ms, 210 * ms, 1, 0, 0},
		"never written":            {10 * ms, 20 * ms, 0, 0, 0},
	} {
		if wrong, checked := row(c.invoked, c.told, c.writer); wrong != c.wrong || checked != c.checked {
			t.Errorf("%s: %d wrong of %d checked, want %d of %d", name, wrong, checked, c.wrong, c.checked)
		}
	}
	if wrong, checked := wrongWriters([]ack{{id: 1}}, nil, table{writers: []uint32{0, 1}}); wrong != 0 || checked != 0 {
		t.Errorf("without reigns %d wrong of %d checked", wrong, checked)
	}
}
