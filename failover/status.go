package failover

import (
	"fmt"
	"time"

	"github.com/onewriter/onewriter/coord"
)

// statusOf is the machine's state as the API shows it. A primary that serves while another server is away is degraded:
// the next failure may find nobody to take over.
func statusOf(s state) *Status {
	out := &Status{
		State: s.mode, Epoch: s.primary.Epoch, Primary: s.primary.Instance.Name, Reasons: append([]string{}, s.reasons...),
		Verdict: s.verdict, Mode: s.policy.Mode.String(),
	}
	if p := s.plan; p != nil && p.op.ID != "" {
		out.Operation = &OperationStatus{ID: p.op.ID, From: p.op.From.Name, To: p.op.To.Name, Step: string(p.step())}
	}
	if s.policy.Mode == ModeAutomatic {
		out.Blocked = s.objections()
	}
	for _, d := range s.known.Away {
		out.Away = append(out.Away, awayOf(d))
	}
	if s.mode == StateRunning && len(s.twins) > 0 {
		out.State = StateDegraded
		out.Reasons = append(out.Reasons, s.twins...)
	}
	if s.mode == StateRunning && len(out.Away) > 0 {
		out.State = StateDegraded
		for _, a := range out.Away {
			out.Reasons = append(out.Reasons, awaySentence(a))
		}
		out.Reasons = append(out.Reasons, s.awayTrouble...)
	}
	return out
}

func awayOf(d coord.Departure) AwayServer {
	return AwayServer{
		Server: d.Server, Epoch: d.Epoch, At: d.At, Why: d.Why, Fence: d.Fence, Loss: lossInWords(d), Verdict: d.Verdict, Reasons: d.Reasons,
	}
}

func awaySentence(a AwayServer) string {
	switch a.Verdict {
	case "":
		return fmt.Sprintf("%s is away since epoch %d (%s): it is closed and judged as soon as it answers.", a.Server, a.Epoch, a.Why)
	case verdictClean:
		return fmt.Sprintf("%s came back clean and is catching up, or waits for `onewriter rejoin %s`.", a.Server, a.Server)
	case verdictDiverged:
		return fmt.Sprintf("%s came back with transactions that the primary does not have. See `onewriter rejoin %s --dry-run`.", a.Server, a.Server)
	case verdictDifferent:
		return fmt.Sprintf("%s follows again, but its data are not those of the primary: run `onewriter rejoin %s --rebuild`, or, when you have put them right, `onewriter rejoin %s`.", a.Server, a.Server, a.Server)
	default:
		return fmt.Sprintf("%s came back, verdict %s. See `onewriter rejoin %s --dry-run`.", a.Server, a.Verdict, a.Server)
	}
}

// lossInWords is what a departure says of the loss.
func lossInWords(d coord.Departure) Loss {
	l := Loss{AtLeast: d.AtLeast, WindowMS: d.WindowMS, Exact: d.WindowMS == 0}
	window := (time.Duration(d.WindowMS) * time.Millisecond).Round(time.Millisecond)
	switch {
	case d.Why != "failover":
		l.Sentence = "The primary role did not move; what this server alone has is known when it is judged."
	case l.Exact && d.AtLeast == 0:
		l.Sentence = "Nothing that was acknowledged is lost."
	case l.Exact:
		l.Sentence = fmt.Sprintf("%d transactions of %s are missing.", d.AtLeast, d.Server)
	case d.WindowMS < 0:
		l.Sentence = fmt.Sprintf("At least %d transactions of %s are missing; from how long a time more may be is not known.", d.AtLeast, d.Server)
	case d.AtLeast == 0:
		l.Sentence = fmt.Sprintf("No transaction of %s is known to be missing; some of its last %s may be. What exactly is known when it is back.", d.Server, window)
	default:
		l.Sentence = fmt.Sprintf("At least %d transactions of %s are missing; more may be from its last %s. What exactly is known when it is back.", d.AtLeast, d.Server, window)
	}
	return l
}
