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
	var out reply
	what := "switchover"
	switch r.in.(type) {
	case inFailover:
		what, out.failover = "failover", c.failoverResult(r, a)
	case inRejoin:
		what, out.rejoin = "rejoin", c.rejoinResult(r, a)
	default:
		out.result = c.result(r, a)
	}
	switch a.Outcome {
	case replyCompleted, replyDryRun:
	case replyRefused:
		out.err = &RefusedError{What: what, Reasons: a.Reasons}
	case replyAborted, replyUnresolved:
		out.err = &AbortedError{What: what, ID: a.ID, Phase: string(a.Phase), Reasons: a.Reasons, Unresolved: a.Outcome == replyUnresolved}
	}
	c.record(r, a, out)
	if c.current == r {
		c.current = nil
	}
	r.reply <- out
}

// result puts together what was done and measured. The executor's side is read only for an answer that ends a plan: a
// request that was refused at once may be answered while a step of another operation runs.
func (c *Controller) result(r *record, a actReply) Result {
	out := Result{
		ID: a.ID, From: a.Op.From.Name, To: a.Op.To.Name, Epoch: a.Op.Epoch, Outcome: a.Outcome.String(),
		Phases: append([]Phase{}, r.phases...), SessionsClosed: []topology.ClosedSession{}, Warnings: a.Notes,
	}
	if a.Outcome == replyDryRun {
		out.PredictedPauseMS, out.Blockers = c.exec.predict(a), a.Blockers
		out.SessionsClosed = append(out.SessionsClosed, c.cfg.DataPath.Pinned()...)
		return out
	}
	if a.Outcome == replyRefused {
		return out
	}
	if run := c.exec.run; run != nil {
		out.PauseMS = milliseconds(run.pause)
		out.SessionsMoved = run.moved
		out.SessionsClosed = append(out.SessionsClosed, run.closed...)
	}
	return out
}

// failoverResult is the same for a failover.
func (c *Controller) failoverResult(r *record, a actReply) FailoverResult {
	out := FailoverResult{
		ID: a.ID, From: a.Op.From.Name, To: a.Op.To.Name, Epoch: a.Op.Epoch, Outcome: a.Outcome.String(), Fence: a.Op.Gone.Fence,
		Loss: lossInWords(a.Op.Gone), Phases: append([]Phase{}, r.phases...), SessionsClosed: []topology.ClosedSession{}, Warnings: a.Notes,
	}
	if a.Outcome == replyDryRun {
		out.Refusals = a.Reasons
		return out
	}
	if a.Outcome != replyCompleted {
		return out
	}
	if run := c.exec.run; run != nil {
		out.PauseMS = milliseconds(run.pause)
		out.SessionsClosed = append(out.SessionsClosed, run.closed...)
	}
	return out
}

// rejoinResult is the same for the return of a server.
func (c *Controller) rejoinResult(r *record, a actReply) RejoinResult {
	out := RejoinResult{
		ID: a.ID, Server: a.Op.Server, Method: a.Op.Method, Outcome: a.Outcome.String(), Verdict: a.Op.Gone.Verdict,
		Reasons: a.Op.Gone.Reasons, Phases: append([]Phase{}, r.phases...),
	}
	if a.Op.Server == "" { // refused at once
		return out
	}
	if b := c.exec.back; b.server == a.Op.Server {
		out.Errant, out.Undone, out.Commands = b.errant, b.undone, b.commands
	}
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// record writes the end of an operation to journal and log.
func (c *Controller) record(r *record, a actReply, out reply) {
	kind, epoch := "end", a.Op.Epoch
	if a.Outcome == replyRefused { // the epoch that it would have begun never was
		kind, epoch = "refused", c.state.primary.Epoch
	}
	e := Event{
		Kind: kind, Operation: a.ID, Outcome: a.Outcome.String(), Step: string(a.Phase), Epoch: epoch, Primary: c.state.primary.Instance.Name,
		MS: milliseconds(time.Since(r.begun)), Reasons: append(append([]string(nil), a.Reasons...), a.Notes...),
	}
	e.Evidence = endEvidence(r.in, a, out)
	c.append(e)
	c.log.Info().Str("operation", a.ID).Str("outcome", a.Outcome.String()).Str("from", a.Op.From.Name).Str("to", a.Op.To.Name).Str("server", a.Op.Server).
		Strs("reasons", a.Reasons).Strs("warnings", a.Notes).Msg("operation ended")
}
