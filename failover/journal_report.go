package failover

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// Limits of a report.
const (
	maxReport = 1000            // events of one operation
	maxBefore = 50              // events that led to it
	maxLater  = 5               // refusals since then
	lookBack  = 5 * time.Minute // how long before it they may lie
)

// LastOperation stands for the latest operation of a cluster that was begun and was no dry run; where there is none, for
// the latest one that was refused.
const LastOperation = "last"

// ErrNoOperation is returned for an operation that the journal does not know, or no longer.
var ErrNoOperation = errors.New("the journal knows no such operation")

// Report is all that the journal knows of one operation.
type Report struct {
	Operation string
	Cluster   string
	What      string // "switchover", "failover" or "rejoin"
	Outcome   string // as in the event "end"; "" while it is not over or was cut short by the end of the process
	By        string
	DryRun    bool
	From, To  string
	Epoch     topology.Epoch
	Began     time.Time
	Ended     time.Time // zero while it is not over
	Reasons   []string
	Clients   Clients
	// Fence and Loss are those of a failover; nil where it did not come to that.
	Fence string
	Loss  *Loss
	// Server, Verdict, Method, Errant and Undone are those of a rejoin: what was found out and done; Errant counts the
	// transactions that only this server has or had, -1 when that was not found out.
	Server  string
	Verdict string
	Method  string
	Errant  int
	Undone  string
	// Before are the changes of the cluster's state that led to it; Steps belong to it, with outcome, evidence and
	// duration; both oldest first.
	Before []Event
	Steps  []Event
	// Refused are the refusals since then, oldest first, where this is the LastOperation.
	Refused []Event
}

// Clients is what clients saw of an operation.
type Clients struct {
	Known   bool // false while the operation is not over
	PauseMS float64
	Moved   int
	Closed  int
	Because string // the reasons, counted
}

// Report puts together what is known of one operation of a cluster; LastOperation takes the latest one. The error is
// ErrNoOperation, or about the files.
func (j *Journal) Report(cluster, operation string) (Report, error) {
	var refused []Event
	if operation == LastOperation {
		var err error
		if operation, refused, err = j.lastOperation(cluster); err != nil {
			return Report{}, err
		}
	}
	steps, err := j.History(Filter{Cluster: cluster, Operation: operation, Limit: maxReport})
	if len(steps) == 0 || operation == "" {
		return Report{}, errors.Join(fmt.Errorf("%w: %s", ErrNoOperation, operation), err)
	}
	began := steps[0].At
	before, historyErr := j.History(Filter{Cluster: cluster, From: began.Add(-lookBack), Until: began, Limit: maxReport})
	r := report(steps)
	r.Before, r.Refused = ledTo(before, operation), refused
	return r, errors.Join(err, historyErr)
}

// lastOperation finds the LastOperation, and the refusals since then. A person who asks for it wants to know what was done,
// not what was mistyped after that.
func (j *Journal) lastOperation(cluster string) (operation string, refused []Event, err error) {
	events, err := j.History(Filter{Cluster: cluster, Kinds: []string{"begin", "refused"}, Limit: maxReport})
	for i, seen := len(events)-1, map[string]bool{}; i >= 0; i-- {
		switch e := events[i]; {
		case e.Kind == "refused":
			seen[e.Operation] = true
			refused = append(refused, e)
		case e.Evidence["dry_run"] == "true":
			refused = slices.DeleteFunc(refused, func(r Event) bool { return r.Operation == e.Operation })
		case !seen[e.Operation]: // otherwise it was refused after a look at the servers
			slices.Reverse(refused)
			return e.Operation, refused[max(0, len(refused)-maxLater):], nil
		}
	}
	if len(refused) > 0 {
		return refused[0].Operation, nil, nil
	}
	return "", nil, errors.Join(fmt.Errorf("%w: nothing has moved the primary role", ErrNoOperation), err)
}

// ledTo keeps the changes of state since the cluster last ran well.
func ledTo(events []Event, operation string) []Event {
	var out []Event
	for _, e := range events {
		switch {
		case e.Operation == operation:
		case e.Kind == "state" && e.State == StateRunning.String():
			out = []Event{e}
		case e.Kind == "state" || e.Kind == "verdict" || e.Kind == "warning":
			out = append(out, e)
		}
	}
	return out[max(0, len(out)-maxBefore):]
}

// report reads the events of one operation, oldest first.
func report(events []Event) Report {
	first := events[0]
	r := Report{Operation: first.Operation, Cluster: first.Cluster, What: whatOf(first.Operation), Began: first.At, Errant: -1, Steps: events}
	for _, e := range events {
		switch e.Kind {
		case "begin":
			r.From, r.To, r.By = e.Primary, e.Evidence["to"], e.Evidence["by"]
			if r.Server = e.Evidence[endServer]; r.Server != "" {
				r.From = ""
			}
			r.DryRun, r.Method = e.Evidence["dry_run"] == "true", e.Evidence[endMethod]
		case "end", "refused":
			r.finish(e)
		}
	}
	return r
}

func (r *Report) finish(e Event) {
	r.Outcome, r.Ended, r.Epoch, r.Reasons = e.Outcome, e.At, e.Epoch, e.Reasons
	if to := e.Evidence[endTo]; to != "" {
		r.To = to
	}
	if from := e.Evidence[endFrom]; from != "" {
		r.From = from
	}
	r.Fence, r.Verdict, r.Undone = e.Evidence[endFence], e.Evidence[endVerdict], e.Evidence[endUndone]
	if _, ok := e.Evidence[endErrant]; ok {
		r.Server, r.Errant = e.Evidence[endServer], number(e, endErrant)
	}
	if pause, err := strconv.ParseFloat(e.Evidence[endPause], 64); err == nil {
		r.Clients = Clients{Known: true, PauseMS: pause, Moved: number(e, endMoved), Closed: number(e, endClosed), Because: e.Evidence[endWhy]}
	}
	if sentence, ok := e.Evidence[endLoss]; ok {
		window, err := strconv.ParseInt(e.Evidence[endWindow], 10, 64)
		if err != nil {
			window = -1
		}
		r.Loss = &Loss{AtLeast: uint64(max(0, number(e, endAtLeast))), WindowMS: window, Exact: e.Evidence[endExact] == "true", Sentence: sentence}
	}
}

func number(e Event, key string) int {
	n, err := strconv.Atoi(e.Evidence[key])
	if err != nil {
		return 0
	}
	return n
}

// whatOf reads the kind of an operation from its id.
func whatOf(operation string) string {
	prefix, _, _ := strings.Cut(operation, "-")
	switch prefix {
	case "sw":
		return "switchover"
	case "fo":
		return "failover"
	case "rj":
		return "rejoin"
	default:
		return "operation"
	}
}
