package failover

import "github.com/onewriter/onewriter/failover/detect"

// stepName names one thing the executor can do. The string is the phase name in results and in the journal.
type stepName string

// The steps. Those of a switchover stand in the order in which they are carried out.
const (
	stepLoad    stepName = "load"    // read the durable state
	stepInspect stepName = "inspect" // look at every server on own connections
	stepClose   stepName = "close"   // fence servers that are writable and must not be
	stepReopen  stepName = "reopen"  // make the fenced primary writable again, after making the fence's outcome certain
	stepSettle  stepName = "settle"  // find out whether a promotion whose answer was lost has happened
	stepSchema  stepName = "schema"  // create the schema onewriter where it is missing

	stepPrecheck stepName = "precheck" // inspect with everything that can speak against a switchover
	stepMark     stepName = "mark"     // store that a switchover begins; also proves that the state can be stored
	stepThrottle stepName = "throttle" // slow new transactions down until the standby is close
	stepPause    stepName = "pause"    // hold all clients
	stepDrain    stepName = "drain"    // let open transactions finish, end the rest
	stepFence    stepName = "fence"    // make the old primary read-only, for certain
	stepTarget   stepName = "target"   // its final position
	stepWait     stepName = "wait"     // the candidate has applied up to there
	stepVerify   stepName = "verify"   // both histories are equal and nothing moved meanwhile
	stepPromote  stepName = "promote"  // make the candidate writable: the point of no return
	stepEpoch    stepName = "epoch"    // write the epoch row, the first write of the new primary
	stepRepoint  stepName = "repoint"  // point the other servers at the new primary (star only)
	stepSemiSync stepName = "semisync" // source side on at the new primary, once somebody can acknowledge
	stepSave     stepName = "save"     // store epoch and primary durably
	stepPublish  stepName = "publish"  // tell data path and monitor
	stepResume   stepName = "resume"   // let the clients go on
	stepDemote   stepName = "demote"   // source side of semi-sync off at the old primary
	stepFollow   stepName = "follow"   // look later, in the background, whether the others follow
	stepUnmark   stepName = "unmark"   // store that the aborted switchover or failover is over

	// Those of a failover, in their order; promote, epoch, save, publish and resume follow.
	stepAssess    stepName = "assess"    // look at the servers that are left; the candidate is chosen from that
	stepNote      stepName = "note"      // store that a failover begins, and who is left behind
	stepCutoff    stepName = "cutoff"    // hold all clients, publish nobody, end what is under way on the old primary
	stepFenceOld  stepName = "fence-old" // close the old primary if it can be reached, else by the strongest other means
	stepSilence   stepName = "silence"   // the candidate waits for nobody's acknowledgement and receives nothing more
	stepApply     stepName = "apply"     // the candidate has applied all that it has received
	stepWeigh     stepName = "weigh"     // what may be lost
	stepDetach    stepName = "detach"    // stop the candidate's replication, and keep where both stand
	stepPark      stepName = "park"      // make sure that the link to the old primary does not start by itself
	stepReconnect stepName = "reconnect" // let the candidate follow again after a failover that was given up

	// Those of a server that comes back.
	stepQuarantine stepName = "quarantine" // close it and stop its replication
	stepJudge      stepName = "judge"      // compare its history with the primary's
	stepRewind     stepName = "rewind"     // undo what only it has
	stepRebuild    stepName = "rebuild"    // replace its data
	stepDiscard    stepName = "discard"    // take the operator's word for its data
	stepReattach   stepName = "reattach"   // let it follow the primary
	stepRelink     stepName = "relink"     // let the primary follow it (circular) and wait for it (semi-sync)
	stepKeep       stepName = "keep"       // store what is known of the servers that are away

	stepPeek stepName = "peek" // read the primary's semi-sync settings
	stepMend stepName = "mend" // start the replication of a standby again
)

// stepOutcome says how a step ended.
type stepOutcome uint8

const (
	outcomeOK      stepOutcome = iota
	outcomeFailed              // it failed and certainly had no effect that lasts
	outcomeUnknown             // it failed and what it did is not known
	outcomeDenied              // it failed for lack of rights: trying again is of no use
)

var outcomeNames = [...]string{"ok", "failed", "unknown", "denied"}

func (o stepOutcome) String() string { return outcomeNames[o] }

// switchoverSteps lists the steps after the precheck. With a star (somebody has to be pointed at the new primary)
// and semi-sync, clients are let go only after somebody can acknowledge again: no acknowledged transaction may exist
// on one server alone.
func switchoverSteps(c choice) []stepName {
	steps := []stepName{
		stepPrecheck, stepMark, stepThrottle, stepPause, stepDrain, stepFence, stepTarget, stepWait, stepVerify, stepPromote, stepEpoch,
	}
	star := len(c.Repoint) > 0
	if star && c.SemiSync {
		steps = append(steps, stepRepoint, stepSemiSync)
	}
	steps = append(steps, stepSave, stepPublish, stepResume)
	if star && !c.SemiSync {
		steps = append(steps, stepRepoint)
	}
	if c.SemiSync {
		steps = append(steps, stepDemote)
	}
	return append(steps, stepFollow)
}

// undoSteps lists what brings the cluster back to where it was when failed is the first step that did not succeed.
func undoSteps(failed stepName) []stepName {
	switch failed {
	case stepPause, stepDrain:
		return []stepName{stepResume, stepUnmark}
	case stepFence, stepTarget, stepWait, stepVerify, stepPromote:
		return []stepName{stepReopen, stepResume, stepUnmark}
	default:
		return []stepName{stepUnmark}
	}
}

// failoverSteps lists the steps after the assessment. As in a switchover, under semi-sync with another standby clients
// are let go only after somebody can acknowledge again. Behind a primary that hangs the receiver is stopped first: as
// soon as it has given up waiting and tries to connect again, MySQL takes two seconds to stop it.
func failoverSteps(c failoverChoice, cause detect.Kind) []stepName {
	steps := []stepName{stepAssess, stepNote, stepCutoff, stepFenceOld, stepSilence, stepApply, stepWeigh, stepDetach, stepKeep, stepPromote, stepEpoch}
	if cause == detect.Unreachable {
		steps[3], steps[4] = stepSilence, stepFenceOld
	}
	others := len(c.Repoint) > 0
	if others && c.SemiSync {
		steps = append(steps, stepRepoint, stepSemiSync)
	}
	steps = append(steps, stepSave, stepPublish, stepResume, stepPark)
	if others && !c.SemiSync {
		steps = append(steps, stepRepoint)
	}
	return steps
}
