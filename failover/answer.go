package failover

import (
	"time"

	"github.com/onewriter/onewriter/topology"
)

// answer sends the reply to whoever asked.
func (c *Controller) answer(a actReply) {
	r := c.pending[a.ID]
	if r == nil {
		return
	}
	delete(c.pending, a.ID)
	out := reply{result: c.result(r, a)}
	switch a.Outcome {
	case replyCompleted, replyDryRun:
	case replyRefused:
		out.err = &RefusedError{Reasons: a.Reasons}
	case replyAborted, replyUnresolved:
		out.err = &AbortedError{ID: a.ID, Phase: string(a.Phase), Reasons: a.Reasons, Unresolved: a.Outcome == replyUnresolved}
	}
	c.record(r, a, out)
	if c.current == r {
		c.current = nil
	}
	r.reply <- out
}

// result puts together what was done and measured.
func (c *Controller) result(r *record, a actReply) Result {
	out := Result{
		ID: a.ID, From: a.Op.From.Name, To: a.Op.To.Name, Epoch: a.Op.Epoch, Outcome: a.Outcome.String(),
		Phases: append([]Phase{}, r.phases...), SessionsClosed: []topology.ClosedSession{}, Warnings: a.Notes,
	}
	if a.Outcome == replyDryRun {
		out.PredictedPauseMS, out.Blockers = c.exec.predict(a), a.Blockers
		return out
	}
	if run := c.exec.run; run != nil && a.Outcome != replyRefused {
		out.PauseMS = float64(run.pause.Microseconds()) / 1000
		out.SessionsMoved = run.moved
		out.SessionsClosed = append(out.SessionsClosed, run.closed...)
	}
	return out
}

// record writes the end of an operation to journal and log.
func (c *Controller) record(r *record, a actReply, out reply) {
	kind := "end"
	if a.Outcome == replyRefused {
		kind = "refused"
	}
	c.append(Event{Kind: kind, Operation: a.ID, Outcome: a.Outcome.String(), Step: string(a.Phase), Epoch: out.result.Epoch, Primary: c.state.primary.Instance.Name,
		MS: float64(time.Since(r.begun).Microseconds()) / 1000, Reasons: append(append([]string(nil), a.Reasons...), a.Notes...)})
	c.log.Info().Str("operation", a.ID).Str("outcome", a.Outcome.String()).Str("from", out.result.From).Str("to", out.result.To).
		Float64("pause_ms", out.result.PauseMS).Strs("reasons", a.Reasons).Strs("warnings", a.Notes).Msg("switchover ended")
}
