package failover

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/onewriter/onewriter/topology"
)

// The keys of the evidence of an "end" event. They are what a report is made from after a restart, so they stay.
const (
	endFrom     = "from"
	endTo       = "to"
	endPause    = "pause_ms"
	endMoved    = "sessions_moved"
	endClosed   = "sessions_closed"
	endWhy      = "sessions_closed_because"
	endFence    = "fence"
	endLoss     = "loss"
	endAtLeast  = "loss_at_least"
	endWindow   = "loss_window_ms"
	endExact    = "loss_exact"
	endVerdict  = "verdict"
	endMethod   = "method"
	endServer   = "server"
	endErrant   = "errant_transactions"
	endUndone   = "undone"
	maxClosures = 10 // reasons that are named
)

// endEvidence is what a report needs to know of an operation besides its steps.
func endEvidence(in input, a actReply, out reply) map[string]string {
	switch in.(type) {
	case inFailover:
		return failoverEvidence(a, out.failover)
	case inRejoin:
		return rejoinEvidence(out.rejoin)
	default:
		return switchoverEvidence(a, out.result)
	}
}

func switchoverEvidence(a actReply, r Result) map[string]string {
	out := rolesEvidence(a)
	if a.Outcome == replyCompleted || a.Outcome == replyAborted {
		out[endMoved] = strconv.Itoa(r.SessionsMoved)
		clientsEvidence(out, r.PauseMS, r.SessionsClosed)
	}
	return out
}

func failoverEvidence(a actReply, r FailoverResult) map[string]string {
	out := rolesEvidence(a)
	if !a.Op.To.Known() {
		return out
	}
	out[endFence], out[endLoss] = r.Fence, r.Loss.Sentence
	out[endAtLeast] = strconv.FormatUint(r.Loss.AtLeast, 10)
	out[endWindow] = strconv.FormatInt(r.Loss.WindowMS, 10)
	out[endExact] = strconv.FormatBool(r.Loss.Exact)
	if a.Outcome == replyCompleted {
		clientsEvidence(out, r.PauseMS, r.SessionsClosed)
	}
	return out
}

func rolesEvidence(a actReply) map[string]string {
	out := map[string]string{}
	if a.Op.From.Known() {
		out[endFrom] = a.Op.From.Name
	}
	if a.Op.To.Known() {
		out[endTo] = a.Op.To.Name
	}
	return out
}

// clientsEvidence writes down what clients saw.
func clientsEvidence(out map[string]string, pauseMS float64, closed []topology.ClosedSession) {
	out[endPause] = strconv.FormatFloat(pauseMS, 'f', -1, 64)
	out[endClosed] = strconv.Itoa(len(closed))
	if why := closures(closed); why != "" {
		out[endWhy] = why
	}
}

// rejoinEvidence writes down what was found out about a server and done with it.
func rejoinEvidence(r RejoinResult) map[string]string {
	out := map[string]string{endServer: r.Server, endVerdict: r.Verdict, endErrant: strconv.Itoa(len(r.Errant))}
	if r.Method != "" {
		out[endMethod] = r.Method
	}
	if r.Undone != "" {
		out[endUndone] = r.Undone
	}
	return out
}

// closures counts the reasons why sessions were ended, the most frequent first: "3 × a transaction was open".
func closures(closed []topology.ClosedSession) string {
	count := map[string]int{}
	for _, s := range closed {
		count[s.Reason]++
	}
	reasons := make([]string, 0, len(count))
	for reason := range count {
		reasons = append(reasons, reason)
	}
	slices.SortFunc(reasons, func(a, b string) int {
		if count[a] != count[b] {
			return count[b] - count[a]
		}
		return strings.Compare(a, b)
	})
	if len(reasons) > maxClosures {
		reasons = append(reasons[:maxClosures], "...")
	}
	for i, reason := range reasons {
		if count[reason] > 0 {
			reasons[i] = fmt.Sprintf("%d × %s", count[reason], reason)
		}
	}
	return strings.Join(reasons, "; ")
}
