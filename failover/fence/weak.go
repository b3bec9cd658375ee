package fence

import (
	"errors"
	"fmt"
	"time"
)

// ErrNotOutlived means that the watchdog may not have closed the server yet.
var ErrNotOutlived = errors.New("the watchdog may not have closed the server yet")

// Outlived proves that the watchdog in the server called of has closed it by now: it was renewed last by a statement sent
// at renewed, and closes the server no later than after. It rests on the clock rates of two machines and on the server
// not having been stopped meanwhile; commits that lie in the socket of a stopped process still succeed when it goes on.
func Outlived(of string, renewed time.Time, after time.Duration, now time.Time) (*Proof, error) {
	if renewed.IsZero() || after <= 0 || now.Sub(renewed) < after {
		return nil, fmt.Errorf("%w: %s after the last renewal, it takes %s", ErrNotOutlived, now.Sub(renewed).Round(time.Millisecond), after)
	}
	return &Proof{of: of, kind: ByWatchdog, valid: true, lines: []string{
		fmt.Sprintf("The watchdog of %s was renewed last %s ago and closes it after %s.", of, now.Sub(renewed).Round(time.Millisecond), after),
	}}, nil
}

// Unfenced lets another server be opened although nothing keeps the one called of from acknowledging writes of clients
// that reach it directly. why is the sentence that says who accepts that.
func Unfenced(of, why string) *Proof {
	return &Proof{of: of, kind: NotFenced, valid: true, lines: []string{why}}
}
