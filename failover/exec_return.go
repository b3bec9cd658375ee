package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/onewriter/onewriter/failover/rejoin"
	"github.com/onewriter/onewriter/failover/rewind"
	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
)

// comebackRun is what the steps of one return hand on to each other and to the result.
type comebackRun struct {
	server    string
	judgement rejoin.Judgement
	errant    []ErrantTransaction
	tables    []string // that were touched by a rewind, to be compared when the server has caught up
	undone    string
	commands  []string
}

func (e *executor) carryOutReturn(ctx context.Context, a actRun, out *done) error {
	old, err := e.returner(ctx, a.Op.Server)
	if err != nil {
		return err
	}
	if a.Step == stepQuarantine {
		return e.quarantine(ctx, a, old, out)
	}
	primary, err := e.returner(ctx, a.Op.To.Name)
	if err != nil {
		return err
	}
	switch a.Step {
	case stepJudge:
		return e.judge(ctx, a, old, primary, out)
	case stepReattach:
		if why, err := e.outsideSource(ctx, old); err != nil {
			return err
		} else if why != "" {
			return errors.New(strings.TrimSuffix(why, "."))
		}
		return rejoin.Reattach(ctx, old, primary, e.account(), a.Op.Gone)
	case stepRelink:
		if err := e.verifyRewound(ctx, old, primary, out); err != nil || out.Judged.Verdict != "" {
			return err
		}
		return rejoin.Relink(ctx, old, primary, a.Op.Gone)
	case stepRewind:
		err = e.rewind(ctx, a, old, primary, out)
	case stepRebuild:
		err = rejoin.Rebuild(ctx, old, primary, e.account())
	case stepDiscard:
		err = rejoin.Discard(ctx, old, primary, e.account(), a.Op.Gone)
	default:
		return fmt.Errorf("unknown step %q", a.Step)
	}
	if err == nil {
		out.Gone, err = rejoin.Renew(ctx, old, a.Op.Gone)
	}
	return err
}

// returner is a server as package rejoin wants it.
func (e *executor) returner(ctx context.Context, name string) (rejoin.Server, error) {
	bounded, cancel := context.WithTimeout(ctx, e.cfg.Limits.Statement)
	defer cancel()
	s := e.servers[name]
	f, err := s.fencing(bounded)
	if err != nil {
		return rejoin.Server{}, err
	}
	out := rejoin.Server{Instance: s.instance, DB: s.db, Dialect: f.Dialect, ControlUser: s.user}
	if e.cfg.BinlogSource != nil {
		out.Binlog = e.cfg.BinlogSource(s.instance, f.Dialect.Name())
	}
	return out, nil
}

// park keeps the links of the new primary to servers that are left behind from starting by themselves when it restarts:
// it would fetch, on MySQL silently, what only they have.
func (e *executor) park(ctx context.Context, a actRun) error {
	primary, err := e.returner(ctx, a.Op.To.Name)
	if err != nil {
		return err
	}
	if a.Op.failover() {
		if !e.run.linked {
			return nil
		}
		return rejoin.Park(ctx, primary, e.run.channel, a.Op.FilePos)
	}
	if err := e.stopLinksTo(ctx, a.Op.To, a.Op.Left); err != nil {
		return err
	}
	facts, err := primary.Dialect.Observe(ctx, primary.DB)
	if err != nil {
		return fmt.Errorf("observe %s: %w", a.Op.To.Name, err)
	}
	var errs []error
	for _, i := range e.cfg.Servers {
		if l, ok := linkTo(facts.Links, i, e.servers[i.Name]); ok && slices.Contains(a.Op.Left, i.Name) {
			errs = append(errs, rejoin.Park(ctx, primary, l.Channel, !l.UsesGTID))
		}
	}
	return errors.Join(errs...)
}

func (e *executor) account() rejoin.Account {
	r := e.cfg.Replication
	return rejoin.Account{User: r.User, Password: r.Password, TLS: r.TLS}
}

// quarantine closes the server and stops its replication. A standby that somebody opened goes on receiving until it is
// judged: under semi-sync the primary waits for it.
func (e *executor) quarantine(ctx context.Context, a actRun, old rejoin.Server, out *done) error {
	e.back = comebackRun{server: a.Op.Server}
	if err := e.spare(ctx, a.Op.Server, a.Op.To.Name); err != nil {
		return err
	}
	if a.Op.Gone.Why == "split" {
		return e.close(ctx, actRun{Op: operation{Others: []string{a.Op.Server}}}, evidence(out.Evidence))
	}
	return rejoin.Quarantine(ctx, old, e.fenceLimits())
}

// completeRewind resumes a rewind that was interrupted. The links have started by themselves if the server was restarted.
func (e *executor) completeRewind(ctx context.Context, a *actRun, old rejoin.Server) error {
	t := target(old, gtid.Position{})
	there, err := rewind.Interrupted(ctx, t)
	if err != nil || !there {
		return err
	}
	if err := rejoin.Quarantine(ctx, old, e.fenceLimits()); err != nil {
		return err
	}
	if _, _, err := rewind.Resume(ctx, t); err != nil {
		return err
	}
	a.Op.Gone, err = rejoin.Renew(ctx, old, a.Op.Gone)
	return err
}

// judge compares the histories and lists what only the server has.
func (e *executor) judge(ctx context.Context, a actRun, old, primary rejoin.Server, out *done) error {
	if err := e.completeRewind(ctx, &a, old); err != nil {
		return fmt.Errorf("complete a rewind of %s that was interrupted: %w", a.Op.Server, err)
	}
	j, err := rejoin.Judge(ctx, old, primary, a.Op.Gone)
	if err != nil {
		return err
	}
	j.Reasons = append(j.Reasons, e.conflicts(ctx, primary, j, a.Op.Gone)...)
	if j.Verdict == rejoin.Clean {
		why, err := e.outsideSource(ctx, old)
		if err != nil {
			return err
		}
		if why != "" {
			j.Verdict, j.Reasons = rejoin.Unknown, append(j.Reasons, why)
		}
	}
	b := &e.back
	b.judgement, b.errant = j, nil
	for _, t := range j.Errant {
		b.errant = append(b.errant, errantOf(t))
	}
	out.Judged = judged{Verdict: j.Verdict.String(), OwnOnly: j.OwnOnly, Reasons: j.Reasons}
	if j.Verdict != rejoin.Clean {
		b.commands = rejoin.Commands(old, primary)
	}
	evidence(out.Evidence).describeJudgement(a, j, b.errant)
	return nil
}

// outsideSource says why the only link of the server must not be pointed at the primary: it comes from a server outside the cluster, as
// during a migration, and its place there would be lost. "" when that is not so.
func (e *executor) outsideSource(ctx context.Context, old rejoin.Server) (string, error) {
	facts, err := old.Dialect.Observe(ctx, old.DB)
	if err != nil {
		return "", fmt.Errorf("observe %s: %w", old.Instance.Name, err)
	}
	if len(facts.Links) != 1 || facts.Links[0].SourceServerID == 0 { // which has never connected, or to nobody knows whom
		return "", nil
	}
	for _, i := range e.cfg.Servers {
		if _, ok := linkTo(facts.Links, i, e.servers[i.Name]); ok {
			return "", nil
		}
	}
	l := facts.Links[0]
	return fmt.Sprintf("%s replicates from %s (server_id %d), which is none of the cluster's servers. That link is not pointed at the primary, because its place there would be lost. "+
		"When it is not needed any more run RESET REPLICA ALL on %s (RESET SLAVE ALL on MariaDB).", old.Instance.Name, l.Source, l.SourceServerID, old.Instance.Name), nil
}

// maxListed is how many errant transactions the journal names.
const maxListed = 50

// describeJudgement notes what was compared and found.
func (ev evidence) describeJudgement(a actRun, j rejoin.Judgement, errant []ErrantTransaction) {
	ev.add("verdict", "%s", j.Verdict)
	ev.add(a.Op.Server, "%s", j.Position)
	ev.add(a.Op.To.Name, "%s", j.Primary)
	for i, t := range errant {
		if i == maxListed {
			ev.add("errant more", "%d", len(errant)-i)
			return
		}
		ev.add(fmt.Sprintf("errant %d", i+1), "%s at %s: %v %v", t.GTID, t.Place, t.Tables, t.DDL)
	}
}

// maxStatement is how much of a statement is shown.
const maxStatement = 200

// errantOf puts a transaction into the words of the API.
func errantOf(t binlog.Transaction) ErrantTransaction {
	out := ErrantTransaction{GTID: t.GTID, Place: t.Place.String(), At: t.At, Own: len(t.Statements) == 0}
	for _, c := range t.Changes {
		if out.Tables == nil {
			out.Tables = map[string]int{}
		}
		out.Tables[c.Schema+"."+c.Table]++
		out.Own = out.Own && c.Schema == flavor.Schema
	}
	for _, s := range t.Statements {
		if len(s) > maxStatement {
			s = s[:maxStatement] + "..."
		}
		out.DDL = append(out.DDL, s)
	}
	return out
}
