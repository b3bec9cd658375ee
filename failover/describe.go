package failover

import (
	"fmt"
	"strings"
)

// describe writes an action as one line, for transcripts and the debug log.
func describe(a action) string {
	switch a := a.(type) {
	case actRun:
		return describeRun(a)
	case actReply:
		var b strings.Builder
		fmt.Fprintf(&b, "reply %s %s", a.ID, a.Outcome)
		if a.Op.To.Known() {
			fmt.Fprintf(&b, " %s->%s epoch %d", a.Op.From.Name, a.Op.To.Name, a.Op.Epoch)
		}
		if a.Phase != "" {
			fmt.Fprintf(&b, " at %s", a.Phase)
		}
		return b.String() + sentences(a.Reasons) + sentences(a.Notes)
	case actGate:
		if a.Hold {
			return "hold clients"
		}
		return "release clients"
	case actCancel:
		return "cancel the step"
	case actStop:
		if a.Denied {
			return "stop with an error"
		}
		return "stop"
	default:
		return "?"
	}
}

func describeRun(a actRun) string {
	line := "run " + string(a.Step)
	switch a.Step {
	case stepMark, stepUnmark, stepSave, stepNote, stepKeep:
		line += fmt.Sprintf(" {epoch %d primary %s %s", a.Save.Epoch, a.Save.Primary.Name, a.Save.Phase)
		if a.Save.Target != "" {
			line += " to " + a.Save.Target
		}
		if a.Save.SemiSync {
			line += " semi-sync"
		}
		for _, d := range a.Save.Away {
			line += fmt.Sprintf(" without %s (%s %s)", d.Server, d.Why, orNew(d.Verdict))
		}
		line += "}"
	case stepPublish:
		if a.Publish.Instance.Known() {
			line += fmt.Sprintf(" %s epoch %d", a.Publish.Instance.Name, a.Publish.Epoch)
		} else {
			line += " nobody"
		}
	case stepClose:
		line += " " + strings.Join(a.Op.Others, ",")
	case stepReopen:
		if a.Kind == planUndo {
			line += " " + a.Op.From.Name
		} else {
			line += " " + a.Op.To.Name
		}
	case stepRepoint:
		line += " " + strings.Join(a.Op.Repoint, ",") + " at " + a.Op.To.Name
	case stepFence, stepDemote, stepCutoff, stepFenceOld:
		line += " " + a.Op.From.Name
	case stepAssess:
		line += " without " + a.Op.From.Name
	case stepQuarantine, stepJudge, stepRewind, stepRebuild, stepDiscard, stepReattach, stepRelink, stepMend:
		line += " " + a.Op.Server
		if a.Step == stepRelink && a.Op.Gone.SemiSync {
			line += " with semi-sync"
		}
	case stepSilence, stepApply, stepWeigh, stepDetach, stepReconnect, stepPark, stepPeek, stepPromote, stepSchema, stepWait, stepSemiSync:
		line += " " + a.Op.To.Name
	case stepEpoch:
		line += fmt.Sprintf(" %d on %s", a.Op.Epoch, a.Op.To.Name)
	case stepLoad, stepInspect, stepSettle, stepPrecheck, stepThrottle, stepPause, stepDrain, stepTarget, stepVerify, stepResume, stepFollow:
	}
	return line
}

func orNew(verdict string) string {
	if verdict == "" {
		return "not judged"
	}
	return verdict
}

// describeState writes what a person wants to know of a state.
func describeState(s state) string {
	primary := "nobody"
	if s.primary.Instance.Known() {
		primary = fmt.Sprintf("%s epoch %d", s.primary.Instance.Name, s.primary.Epoch)
	}
	line := fmt.Sprintf("%s, primary %s", s.mode, primary)
	if s.parked.why != notParked || s.held {
		line += ", clients held"
	}
	return line + sentences(s.reasons)
}

func sentences(list []string) string {
	var b strings.Builder
	for _, r := range list {
		b.WriteString("\n      - " + r)
	}
	return b.String()
}
