package failover

import "time"

// predict estimates the pause of a switchover in milliseconds from what the precheck has measured: the round trips
// between Hold and Resume, the last durable save, and the drain limit where something is open that will not end by
// itself in time.
func (e *executor) predict(a actReply) float64 {
	const (
		tripsOld = 5 // fence, flags, position, and both again in the verification
		tripsNew = 4 // wait, verification, promotion, epoch row
	)
	var total time.Duration
	for _, s := range e.seen {
		switch s.Instance.Name {
		case a.Op.From.Name:
			total += tripsOld * s.RTT
		case a.Op.To.Name:
			total += tripsNew * s.RTT
		}
	}
	total += e.saving
	for _, b := range a.Blockers {
		if b.Seconds > 0 {
			total += e.cfg.Limits.Drain
			break
		}
	}
	return float64(total.Microseconds()) / 1000
}
