package failover

import (
	"fmt"
	"strings"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/topology"
)

// verdictKind sorts what is to be done about an inspection.
type verdictKind uint8

const (
	verdictNone   verdictKind = iota // nobody may be written to
	verdictServe                     // the known primary is the writable one: go on, or begin
	verdictAdopt                     // another server is the primary now: new epoch
	verdictReopen                    // the known primary is closed and may be opened again
	verdictClose                     // close the others, the known primary stays
	verdictClosed                    // the known primary was closed by somebody else: keep the pointer, say so
	verdictSplit                     // more than one writable server and no known primary among them, or diverged
)

var verdictNames = [...]string{"none", "serve", "adopt", "reopen", "close-others", "closed", "split"}

func (k verdictKind) String() string { return verdictNames[k] }

// verdict is the outcome of decide.
type verdict struct {
	Kind    verdictKind
	Primary topology.Instance // for serve, adopt, reopen, close, closed
	Epoch   topology.Epoch    // the epoch in which Primary is primary
	NewRow  bool              // the epoch is new and its row has to be written
	Others  []string          // for close: the servers to close
	Reasons []string
}

// question is what decide has to answer.
type question struct {
	View      view
	Known     coord.State // the newest durable state
	HaveKnown bool
	// MayReopen is true at start and after the primary was away: then read_only is what a restarted server comes
	// up with, or what our own fence left behind. Otherwise somebody closed it on purpose.
	MayReopen bool
}

// decide is the start-up and recovery rule: which server is the primary, judged by one inspection of all servers
// and the durable state. It never answers with a server to write to while another one is or may be writable.
func decide(q question) verdict {
	known, fromRow := newestKnown(q)
	writable := q.View.names(serverView.writable)
	switch {
	case len(writable) == 0:
		return decideNoneWritable(q, known)
	case len(writable) == 1:
		return decideOneWritable(q, known, fromRow, writable[0])
	default:
		return decideManyWritable(q, known, writable)
	}
}

// newestKnown lets an epoch row of a later epoch than the stored state's win: a decider had got as far as opening
// that server before it could store so. fromRow tells that this is the case.
func newestKnown(q question) (known coord.State, fromRow bool) {
	row := q.View.newestRow()
	if q.HaveKnown && row.Epoch <= q.Known.Epoch {
		return q.Known, false
	}
	for _, s := range q.View {
		if row.Epoch > 0 && s.Instance.Name == row.Name && (!s.ok() || s.Facts.ServerID == row.ServerID) {
			return coord.State{Cluster: q.Known.Cluster, Epoch: row.Epoch, Primary: s.Instance}, true
		}
	}
	return q.Known, false
}

// goneOrContained reports whether the known primary does not answer, or has nothing that x lacks.
func (q question) goneOrContained(known coord.State, x serverView) bool {
	k, ok := q.View.find(known.Primary.Name)
	return ok && (!k.ok() || contains(x, k))
}

// left reports whether the server called name was left behind.
func (q question) left(name string) bool {
	for _, d := range q.Known.Away {
		if d.Server == name {
			return true
		}
	}
	return false
}

// unsure finds the server that an earlier process may have opened, in an operation whose end it has not stored, and that
// cannot be asked.
func unsure(v view, known coord.State) (serverView, bool) {
	if known.Phase == coord.PhaseSettled {
		return serverView{}, false
	}
	target, ok := v.find(known.Target)
	return target, ok && !target.ok()
}

// unfinished is the sentence about that.
func unfinished(known coord.State) string {
	what := "switchover"
	if known.Phase == coord.PhaseFailingOver {
		what = "failover"
	}
	return fmt.Sprintf("Onewriter ended in the middle of a %s to %s, which may have been opened and does not answer. Start it, or make sure that it is off and run `onewriter failover --force`.", what, known.Target)
}

// counted are the servers that were not left behind, and the one that an operation without an end may have opened.
func (q question) counted() view {
	var out view
	for _, s := range q.View {
		if !q.left(s.Instance.Name) || q.Known.Phase != coord.PhaseSettled && s.Instance.Name == q.Known.Target {
			out = append(out, s)
		}
	}
	return out
}

// nextEpoch is an epoch that no server has been the primary in. A server that may have been opened and cannot be asked may
// have had the next one.
func nextEpoch(q question) topology.Epoch {
	next := max(q.Known.Epoch, q.View.newestRow().Epoch) + 1
	if _, open := unsure(q.View, q.Known); open {
		next++
	}
	return next
}

func decideNoneWritable(q question, known coord.State) verdict {
	away := q.View.unreachable()
	if len(away) == len(q.View) {
		return verdict{Kind: verdictNone, Reasons: append([]string{q.View.nobody()}, away...)}
	}
	if !q.HaveKnown {
		return verdict{Kind: verdictNone, Reasons: append([]string{
			"No server is writable and there is no state file that names the primary." + rowHint(known) + " On the server that holds the newest data run: SET GLOBAL read_only=0.",
		}, away...)}
	}
	k, ok := q.View.find(known.Primary.Name)
	if !ok {
		return verdict{Kind: verdictNone, Reasons: []string{notConfigured(known)}}
	}
	if !k.ok() {
		return verdict{Kind: verdictNone, Reasons: append([]string{
			fmt.Sprintf("The last known primary %s does not answer and no other server is writable.", k.Instance.Name),
		}, away...)}
	}
	if !q.MayReopen {
		return verdict{Kind: verdictClosed, Primary: k.Instance, Epoch: known.Epoch, Reasons: []string{fmt.Sprintf(
			"The primary %s was made read_only by somebody else. Onewriter does not undo that: run SET GLOBAL read_only=0 on %s, or request a switchover after that.", k.Instance.Name, k.Instance.Name)}}
	}
	return decideReopen(q, known, k)
}

// decideReopen opens the last known primary only when every server answers and none knows more than it does. Servers that
// were left behind do not count: that they may have more is known and was accepted.
func decideReopen(q question, known coord.State, k serverView) verdict {
	rest := q.counted()
	if away := rest.unreachable(); len(away) > 0 {
		if _, open := unsure(q.View, known); open {
			away = append(away, unfinished(known))
		}
		return verdict{Kind: verdictNone, Reasons: append([]string{fmt.Sprintf(
			"The last known primary %s is read_only and is not opened before every other server can be asked what it has.", k.Instance.Name)}, away...)}
	}
	if !k.closed() {
		return verdict{Kind: verdictNone, Reasons: []string{k.Instance.Name + " has super_read_only set and read_only not: a statement that closes or opens it is under way."}}
	}
	if reasons := notContained(rest, k); len(reasons) > 0 {
		return verdict{Kind: verdictNone, Reasons: reasons}
	}
	return verdict{Kind: verdictReopen, Primary: k.Instance, Epoch: known.Epoch, NewRow: k.Row.Epoch < known.Epoch}
}

// notContained says which servers have something that k has not (or may have).
func notContained(v view, k serverView) []string {
	var reasons []string
	for _, o := range v {
		if o.Instance.Name == k.Instance.Name || !o.ok() || contains(k, o) {
			continue
		}
		reasons = append(reasons, fmt.Sprintf("%s may have transactions that %s does not have (%s: %s; %s: %s).",
			o.Instance.Name, k.Instance.Name, o.Instance.Name, o.Facts.Position, k.Instance.Name, k.Facts.Position))
	}
	return reasons
}

func decideOneWritable(q question, known coord.State, fromRow bool, name string) verdict {
	x, _ := q.View.find(name)
	away := q.View.unreachable()
	_, open := unsure(q.View, known)
	switch {
	case (!q.HaveKnown || known.Epoch == 0) && len(away) > 0: // an old primary has a row of its own; that of its successor may be there alone
		return verdict{Kind: verdictNone, Reasons: append([]string{fmt.Sprintf(
			"%s is writable, but nothing is stored about this cluster and the others cannot be asked whether they are writable too.%s Start them, or take them out of the configuration.", name, rowHint(known))}, away...)}
	case known.Epoch == 0:
		return verdict{Kind: verdictAdopt, Primary: x.Instance, Epoch: nextEpoch(q), NewRow: true}
	case known.Primary.Name == name && open && known.Phase == coord.PhaseFailingOver:
		return verdict{Kind: verdictNone, Reasons: append([]string{unfinished(known)}, away...)}
	case known.Primary.Name == name && open: // a switchover had closed it, or has not got that far: somebody wants it to be the primary
		return verdict{Kind: verdictServe, Primary: x.Instance, Epoch: nextEpoch(q), NewRow: true}
	case known.Primary.Name == name:
		return verdict{Kind: verdictServe, Primary: x.Instance, Epoch: known.Epoch, NewRow: !fromRow && x.Row.Epoch < known.Epoch}
	case known.Phase == coord.PhaseFailingOver && known.Target == name && q.goneOrContained(known, x):
		// We had judged the old primary gone and fenced it as far as possible before we opened this server.
		return verdict{Kind: verdictAdopt, Primary: x.Instance, Epoch: nextEpoch(q), NewRow: true}
	}
	return decideMoved(q, known, x, away)
}

// decideMoved judges a writable server that is not the known primary: somebody moved the role by hand, or a decider
// stopped half-way. It is accepted only if the known primary is seen closed and nothing of its history is missing.
func decideMoved(q question, known coord.State, x serverView, away []string) verdict {
	k, ok := q.View.find(known.Primary.Name)
	if !ok {
		return verdict{Kind: verdictSplit, Reasons: []string{notConfigured(known), fmt.Sprintf("%s is writable.", x.Instance.Name)}}
	}
	if q.left(x.Instance.Name) {
		return verdict{Kind: verdictClose, Primary: k.Instance, Epoch: known.Epoch, Others: []string{x.Instance.Name}, Reasons: []string{fmt.Sprintf(
			"%s is writable, but it was left behind; the primary is %s since epoch %d. %s is being closed.", x.Instance.Name, k.Instance.Name, known.Epoch, x.Instance.Name)}}
	}
	if !k.ok() {
		return verdict{Kind: verdictNone, Reasons: append([]string{fmt.Sprintf(
			"%s is writable, but the last known primary is %s, which does not answer and may be writable as well. Start %s or make sure that it stays off and take it out of the configuration.",
			x.Instance.Name, k.Instance.Name, k.Instance.Name)}, away...)}
	}
	if !k.closed() {
		return verdict{Kind: verdictNone, Reasons: []string{k.Instance.Name + " has super_read_only set and read_only not: a statement that closes or opens it is under way."}}
	}
	if !contains(x, k) {
		return verdict{Kind: verdictSplit, Reasons: []string{
			fmt.Sprintf("%s is writable, but the last known primary is %s, and it may have transactions that %s does not have (%s: %s; %s: %s).",
				x.Instance.Name, k.Instance.Name, x.Instance.Name, x.Instance.Name, x.Facts.Position, k.Instance.Name, k.Facts.Position),
			fmt.Sprintf("If %s shall stay the primary run SET GLOBAL read_only=1 on %s and SET GLOBAL read_only=0 on %s.", k.Instance.Name, x.Instance.Name, k.Instance.Name),
		}}
	}
	return verdict{Kind: verdictAdopt, Primary: x.Instance, Epoch: nextEpoch(q), NewRow: true}
}

func decideManyWritable(q question, known coord.State, writable []string) verdict {
	all := strings.Join(writable, " and ")
	if !q.HaveKnown {
		return verdict{Kind: verdictSplit, Reasons: []string{
			fmt.Sprintf("%s are writable at the same time and there is no state file that names the primary.%s", all, rowHint(known)),
			"On each server that shall not be the primary run: SET GLOBAL read_only=1 (MySQL: SET GLOBAL super_read_only=1). Then compare the data of both.",
		}}
	}
	var others []string
	found := false
	for _, w := range writable {
		if w == known.Primary.Name {
			found = true
		} else {
			others = append(others, w)
		}
	}
	if !found {
		return verdict{Kind: verdictSplit, Reasons: []string{
			fmt.Sprintf("%s are writable at the same time and the last known primary %s is not among them.", all, known.Primary.Name),
			"On each server that shall not be the primary run: SET GLOBAL read_only=1 (MySQL: SET GLOBAL super_read_only=1). Then compare the data of both.",
		}}
	}
	k, _ := q.View.find(known.Primary.Name)
	return verdict{Kind: verdictClose, Primary: k.Instance, Epoch: known.Epoch, Others: others, Reasons: []string{fmt.Sprintf(
		"%s are writable at the same time. %s is the primary since epoch %d; %s is being closed (SET GLOBAL read_only=1).", all, k.Instance.Name, known.Epoch, strings.Join(others, " and "))}}
}

// rowHint tells what the epoch rows say where there is no state file. A person may trust them; to open or to close a
// server by itself, onewriter wants its own memory.
func rowHint(known coord.State) string {
	if known.Epoch == 0 {
		return ""
	}
	return fmt.Sprintf(" The newest row of onewriter.epoch says that it was %s in epoch %d.", known.Primary.Name, known.Epoch)
}

func notConfigured(known coord.State) string {
	return fmt.Sprintf("The last known primary %s (%s) is not in the configuration any more.", known.Primary.Name, known.Primary.Address)
}
