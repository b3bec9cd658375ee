package failover

import (
	"fmt"
	"strings"
)

// request begins a switchover, or refuses it.
func (s state) request(in inRequest) (state, []action) {
	if why, later := s.notNow(in); later {
		s.waiting = in
		return s, nil
	} else if why != "" {
		return s.refuse(in.ID, why)
	}
	if s.mode != StateRunning {
		return s.refuse(in.ID, append([]string{fmt.Sprintf("The state of the cluster is %s.", s.mode)}, s.reasons...)...)
	}
	return s.begin(&plan{
		kind: planSwitchover, steps: []stepName{stepPrecheck}, req: in.Req,
		op: operation{ID: in.ID, From: s.primary.Instance, Epoch: s.epoch + 1, Left: s.left()},
	})
}

// requestFailover begins an unplanned failover that an operator asks for, or refuses it.
func (s state) requestFailover(in inFailover) (state, []action) {
	if s.plan != nil && s.waiting == nil && !s.stopping && (s.plan.kind == planReturn || s.plan.kind == planRelink || s.plan.kind == planPeek || s.plan.kind == planMend) {
		q := *s.plan // what can wait is ended
		q.cancelled = true
		s.plan, s.waiting = &q, in
		return s, []action{actCancel{}}
	}
	if s.plan != nil && s.plan.kind == planSettle && s.waiting == nil && !s.stopping && in.Req.Force && !in.Req.DryRun {
		in.unsettled = true // there is one such attempt after the other
		s.waiting = in
		return s, nil
	}
	if why, later := s.notNow(in); later {
		s.waiting = in
		return s, nil
	} else if why != "" {
		return s.refuse(in.ID, why)
	}
	switch from := s.subject(); {
	case in.unsettled && s.parked.why != parkedPromote:
		return s.refuse(in.ID, append([]string{"Meanwhile it was found out what had become of the earlier operation. Look at the status."}, s.reasons...)...)
	case s.policy.Mode == ModeOff && !in.Req.DryRun:
		return s.refuse(in.ID, "The configuration says failover.mode: off, so nobody may move the primary role.")
	case s.parked.why == parkedPromote && (!in.Req.Force || in.Req.DryRun):
		name := s.parked.plan.op.To.Name
		return s.refuse(in.ID, append([]string{fmt.Sprintf("It is not certain yet whether an earlier operation has opened %s. It will be found out when %s answers. "+
			"If it will not come back make sure that it is off and run `onewriter failover --force`: it is left behind then.", name, name)}, s.reasons...)...)
	case s.parked.why == parkedPromote:
		return s.abandon(in.ID)
	case in.Req.Force && !in.Req.DryRun && in.Req.To == "" && s.targetSilent():
		return s.abandonTarget(in.ID)
	case !from.Known():
		return s.refuse(in.ID, append([]string{"No primary was ever known, so there is nothing to fail over from."}, s.reasons...)...)
	case s.mode == StateRunning && !in.Req.Force:
		return s.refuse(in.ID, fmt.Sprintf("The primary %s answers. Use a switchover, which loses nothing; force a failover only if the switchover is not possible.", from.Name))
	default:
		return s.beginFailover(in.ID, in.Req, false)
	}
}

// requestRejoin begins the return of a server that was away, or refuses it.
func (s state) requestRejoin(in inRejoin) (state, []action) {
	if why, later := s.notNow(in); later {
		s.waiting = in
		return s, nil
	} else if why != "" {
		return s.refuse(in.ID, why)
	}
	d, ok := s.awayServer(in.Req.Server)
	_, seen := s.sightOf(in.Req.Server)
	switch {
	case !ok && !seen && len(s.sights) > 0:
		names := make([]string, len(s.sights))
		for i, x := range s.sights {
			names[i] = x.Name
		}
		return s.refuse(in.ID, fmt.Sprintf("There is no server %q; the servers are %s.", in.Req.Server, strings.Join(names, ", ")))
	case !ok:
		return s.refuse(in.ID, fmt.Sprintf("%s is not away: nothing is known that keeps it from serving.", in.Req.Server))
	case s.mode != StateRunning:
		return s.refuse(in.ID, append([]string{fmt.Sprintf("The state of the cluster is %s.", s.mode)}, s.reasons...)...)
	default:
		return s.beginReturn(in.ID, d, in.Req)
	}
}

// notNow says why a request cannot be taken up; later means that it only has to wait for an inspection to end.
func (s state) notNow(in input) (why string, later bool) {
	switch {
	case s.stopping:
		return "Onewriter is being stopped.", false
	case s.waiting != nil:
		return "Another operation has just been requested.", false
	case s.plan == nil:
		return "", false
	}
	switch s.plan.kind {
	case planInspect, planInstall, planClose, planPeek, planRelink, planMend:
		return "", true
	case planReturn:
		if s.plan.op.ID == "" {
			return "", true
		}
		return fmt.Sprintf("Another operation is in progress: %s, the return of %s, in step %s.", s.plan.op.ID, s.plan.op.Server, s.plan.step()), false
	case planAbandon:
		return "Another operation is in progress: a server is being left behind.", false
	case planFailover, planRetreat:
		return fmt.Sprintf("Another operation is in progress: %s, a failover from %s, in step %s.", s.plan.op.ID, s.plan.op.From.Name, s.plan.step()), false
	case planSwitchover, planUndo, planSettle:
		return fmt.Sprintf("Another operation is in progress: %s, a switchover from %s, in step %s.", s.plan.op.ID, s.plan.op.From.Name, s.plan.step()), false
	default:
		return "Another operation is in progress.", false
	}
}

func (s state) refuse(id string, reasons ...string) (state, []action) {
	return s, []action{actReply{ID: id, Outcome: replyRefused, Reasons: reasons, Op: operation{ID: id}}}
}
