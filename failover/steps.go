package failover

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
	stepFollow   stepName = "follow"   // watch the old primary as a standby, in the background
	stepUnmark   stepName = "unmark"   // store that the aborted switchover is over
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
