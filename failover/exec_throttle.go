package failover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/internal/pause"
)

// Throttling delays each new transaction by something between these two.
const (
	throttleMin   = 10 * time.Millisecond
	throttleMax   = 100 * time.Millisecond
	throttleEvery = 20 * time.Millisecond // interval of the measurements
	smallGapBytes = 8 << 10               // with file and position a gap in bytes counts instead of transactions

	// The best gap is aimed at first, because each missing transaction lengthens the pause; what the limits allow
	// is accepted after an eighth of the time.
	bestGap      = 2
	bestGapBytes = 2 << 10
)

// The last constants say when to stop aiming at the best.
const (
	bestCatchup = 2 * time.Millisecond
	bestShare   = 8
)

// gap is how far the candidate is behind at one moment.
type gap struct {
	at      time.Time
	missing uint64 // transactions, or bytes of binary log
	bytes   bool
	known   bool
}

// throttle slows new transactions down until the candidate is so close that the pause will be short. It ends at once
// when it is close already.
func (e *executor) throttle(ctx context.Context, a actRun, ev evidence) (err error) {
	defer func() {
		if err != nil {
			e.cfg.DataPath.Throttle(0)
			e.blunt(e.run)
		}
	}()
	limits := e.cfg.Limits
	deadline := time.Now().Add(limits.Throttle)
	first, err := e.measure(ctx, a)
	if err != nil {
		return err
	}
	ev.add("gap at first", "%d", first.missing)
	if first, err = e.untilSharp(ctx, a, first); err != nil {
		return err
	}
	before, delay := first, time.Duration(0)
	now, estimate := first, time.Duration(-1)
	best := time.Now().Add(limits.Throttle / bestShare)
	for !nearEnough(now, estimate, limits, time.Now().Before(best)) {
		if time.Now().After(deadline) {
			return tooFarBehind(a, now, estimate, limits)
		}
		delay = min(max(2*delay, throttleMin), throttleMax)
		e.cfg.DataPath.Throttle(delay)
		if err := pause.For(ctx, throttleEvery); err != nil {
			return fmt.Errorf("wait for %s to catch up: %w", a.Op.To.Name, err)
		}
		if now, err = e.measure(ctx, a); err != nil {
			return err
		}
		estimate = catchup(before, now)
		before = now
	}
	ev.add("gap", "%d", now.missing)
	return nil
}

// untilSharp waits, without slowing anybody down, for the applier's current checkpoint interval to end: before that a
// position that looks old may only be reported late.
func (e *executor) untilSharp(ctx context.Context, a actRun, g gap) (gap, error) {
	end := time.Now().Add(time.Duration(e.run.period) * time.Millisecond)
	for g.missing > 0 && time.Now().Before(end) {
		if err := pause.For(ctx, throttleEvery); err != nil {
			return g, fmt.Errorf("wait for the position of %s: %w", a.Op.To.Name, err)
		}
		var err error
		if g, err = e.measure(ctx, a); err != nil {
			return g, err
		}
	}
	return g, nil
}

// nearEnough reports whether the candidate is near enough to hold the clients; with best only the best will do.
func nearEnough(g gap, estimate time.Duration, l Limits, best bool) bool {
	if !g.known {
		return false
	}
	small, short := l.ThrottleGap, l.ThrottleCatchup
	switch {
	case best && g.bytes:
		small, short = bestGapBytes, bestCatchup
	case best:
		small, short = min(l.ThrottleGap, bestGap), bestCatchup
	case g.bytes:
		small = smallGapBytes
	}
	return g.missing <= small || (estimate >= 0 && estimate < short)
}

// catchup estimates how long the candidate needs for the rest, from how fast the gap closes; negative when it does
// not close.
func catchup(before, now gap) time.Duration {
	if !before.known || !now.known || now.missing >= before.missing {
		return -1
	}
	rate := float64(before.missing-now.missing) / now.at.Sub(before.at).Seconds()
	return time.Duration(float64(now.missing) / rate * float64(time.Second))
}

// tooFarBehind lets the switchover go on after the throttle limit if the rest fits into the catch-up limit.
func tooFarBehind(a actRun, g gap, estimate time.Duration, l Limits) error {
	if g.known && estimate >= 0 && estimate < l.Catchup/2 {
		return nil
	}
	unit := "transactions"
	if g.bytes {
		unit = "bytes of binary log"
	}
	if !g.known {
		return fmt.Errorf("how far %s is behind could not be measured within %s", a.Op.To.Name, l.Throttle)
	}
	return fmt.Errorf("%s is still %d %s behind after %s of throttling", a.Op.To.Name, g.missing, unit, l.Throttle)
}

// measure reads the candidate's position and then the primary's.
func (e *executor) measure(ctx context.Context, a actRun) (gap, error) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Limits.Statement)
	defer cancel()
	r := e.run
	g := gap{at: time.Now(), bytes: a.Op.FilePos}
	if a.Op.FilePos {
		return g.measureBytes(ctx, r)
	}
	have, err := r.new.Position(ctx, r.b)
	if err != nil {
		return g, fmt.Errorf("read the position of %s: %w", a.Op.To.Name, err)
	}
	want, err := r.old.Position(ctx, r.a)
	if err != nil {
		return g, fmt.Errorf("read the position of %s: %w", a.Op.From.Name, err)
	}
	g.missing, g.known = gtid.Missing(have, want)
	if !g.known {
		return g, fmt.Errorf("%s has what %s has not (%s, %s)", a.Op.To.Name, a.Op.From.Name, have, want)
	}
	return g, nil
}

func (g gap) measureBytes(ctx context.Context, r *run) (gap, error) {
	facts, err := r.new.Observe(ctx, r.b)
	if err != nil {
		return g, fmt.Errorf("observe %s: %w", r.to.instance.Name, err)
	}
	want, err := r.old.BinlogPosition(ctx, r.a)
	if err != nil {
		return g, fmt.Errorf("read the binary log position of %s: %w", r.from.instance.Name, err)
	}
	wantFile, wantPos, ok := want.File()
	if !ok {
		return g, errors.New("the primary has no binary log position")
	}
	for _, l := range facts.Links {
		file, pos, ok := l.AppliedFile.File()
		if ok && file == wantFile {
			g.known, g.missing = true, wantPos-min(pos, wantPos)
		}
	}
	return g, nil
}
