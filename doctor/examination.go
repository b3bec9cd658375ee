package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// errNoPrimary means that a check compares with the primary, which is not known or does not answer. Another sentence of
// the report says so already.
var errNoPrimary = errors.New("there is no primary to compare with")

// examination is one look at all servers.
type examination struct {
	d       *Doctor
	at      time.Time
	deep    bool
	epoch   topology.Epoch
	servers []*server
	primary string // its name, "" when unknown

	mu       sync.Mutex // guards what follows
	findings []Finding
	failed   []failure
}

// failure is a check, or a whole server, that could not be looked at.
type failure struct {
	codes  []string // nil: all
	server string   // "": all
	err    error
}

// examination looks at all servers. It always gives one, whatever can be reached.
func (d *Doctor) examination(ctx context.Context, deep bool) *examination {
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	x := d.visit(ctx, deep)
	defer x.close()
	x.together(func(s *server) { x.perServer(ctx, s) })
	x.perCluster(ctx)
	return x
}

// visit connects to all servers and finds the primary. The caller closes what it gets.
func (d *Doctor) visit(ctx context.Context, deep bool) *examination {
	published := d.cfg.Primary()
	x := &examination{d: d, at: time.Now(), deep: deep, epoch: published.Epoch}
	snapshot := d.cfg.Snapshot()
	for _, i := range d.cfg.Servers {
		x.servers = append(x.servers, &server{instance: i, err: knownDead(snapshot, i.Name)})
	}
	x.together(func(s *server) { s.open(ctx, d.cfg.Connect) })
	x.primary = primaryOf(published, x.servers)
	for _, s := range x.servers {
		if s.err != nil {
			x.failed = append(x.failed, failure{server: s.name(), err: s.err})
		}
	}
	return x
}

// knownDead gives the reason why a server need not be asked: the monitor knows that it does not answer.
func knownDead(snapshot *topology.Snapshot, name string) error {
	o, ok := snapshot.Find(name)
	if !ok || o.Alive() || o.Class == topology.ClassUnknown {
		return nil
	}
	return fmt.Errorf("the monitor cannot reach it (%s): %s", o.Class, o.Err)
}

// together runs do for all servers that can be asked, at the same time.
func (x *examination) together(do func(*server)) {
	var all sync.WaitGroup
	for _, s := range x.servers {
		if s.err == nil {
			all.Go(func() { do(s) })
		}
	}
	all.Wait()
}

func (x *examination) perServer(ctx context.Context, s *server) {
	for _, c := range checks {
		if c.each == nil || c.deep && !x.deep {
			continue
		}
		if err := c.each(ctx, x, s); err != nil {
			x.fail(c.codes, s.name(), err)
		}
	}
}

func (x *examination) perCluster(ctx context.Context) {
	for _, c := range checks {
		if c.all == nil || c.deep && !x.deep {
			continue
		}
		if err := c.all(ctx, x); err != nil {
			x.fail(c.codes, "", err)
		}
	}
}

func (x *examination) close() {
	for _, s := range x.servers {
		s.close()
	}
}

func (x *examination) fail(codes []string, server string, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.failed = append(x.failed, failure{codes, server, err})
}

// find adds a finding with the severity of its code.
func (x *examination) find(code, server, summary string, evidence []string, fix ...string) {
	x.findAs(Critical, code, server, summary, evidence, fix...)
}

// findAs is find for a finding that is at most as bad as worst.
func (x *examination) findAs(worst Severity, code, server, summary string, evidence []string, fix ...string) {
	k, ok := kindOf(code)
	if !ok {
		panic("doctor: code " + code + " is not in the catalogue")
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.findings = append(x.findings, Finding{
		Code: code, Severity: min(k.Severity, worst), Server: server, Summary: summary,
		Evidence: slices.Clip(append([]string{}, evidence...)), Fix: append([]string{}, fix...), Blocks: k.Blocks == BlocksAlways,
	})
}

// thePrimary gives the primary if it could be examined.
func (x *examination) thePrimary() (*server, error) {
	for _, s := range x.servers {
		if s.name() == x.primary && s.err == nil {
			return s, nil
		}
	}
	return nil, errNoPrimary
}

// isStandby reports whether s is a standby; not while nobody is known to be primary.
func (x *examination) isStandby(s *server) bool { return x.primary != "" && s.name() != x.primary }

func (x *examination) isPrimary(s *server) bool { return x.primary != "" && s.name() == x.primary }

// examined gives the servers that could be asked.
func (x *examination) examined() []*server {
	return slices.DeleteFunc(slices.Clone(x.servers), func(s *server) bool { return s.err != nil })
}

// byID finds a server by its server_id.
func (x *examination) byID(id uint32) (*server, bool) {
	for _, s := range x.examined() {
		if s.facts.ServerID == id {
			return s, true
		}
	}
	return nil, false
}

// moved reports whether the primary changed since the examination began.
func (x *examination) moved() bool { return x.d.cfg.Primary().Epoch != x.epoch }

// deepFindings are those of the checks that look through the tables.
func (x *examination) deepFindings() []Finding {
	return slices.DeleteFunc(slices.Clone(x.findings), func(f Finding) bool { return !isDeep(f.Code) })
}

func isDeep(code string) bool {
	return slices.ContainsFunc(checks, func(c check) bool { return c.deep && slices.Contains(c.codes, code) })
}

// report sorts what was found and leaves out what is to be ignored.
func (x *examination) report() Report {
	r := Report{Cluster: x.d.cfg.Cluster, At: x.at, Took: time.Since(x.at), Checks: len(checks), Findings: []Finding{}, Failed: []string{}}
	found := x.findings
	if !x.deep {
		x.d.mu.Lock()
		found = append(slices.Clone(found), x.d.deep...)
		x.d.mu.Unlock()
	}
	for _, f := range found {
		if !slices.Contains(x.d.cfg.Ignore, f.Code) {
			f.Blocks = f.Blocks || x.blocksAlone(f)
			r.Findings = append(r.Findings, f)
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), strings.Compare(a.Server, b.Server), strings.Compare(a.Code, b.Code))
	})
	for _, s := range x.servers {
		r.Statements += s.statements()
	}
	r.Failed = append(r.Failed, x.failures()...)
	return r
}

// blocksAlone: the finding rules its standby out, and there is no other one to choose.
func (x *examination) blocksAlone(f Finding) bool {
	if k, _ := kindOf(f.Code); k.Blocks != BlocksAlone {
		return false
	}
	return !slices.ContainsFunc(x.examined(), func(s *server) bool {
		return x.isStandby(s) && !slices.ContainsFunc(x.findings, func(g Finding) bool {
			k, _ := kindOf(g.Code)
			return g.Server == s.name() && k.Blocks != BlocksNever
		})
	})
}

// failures says what was not checked, each thing once.
func (x *examination) failures() []string {
	var out []string
	for _, f := range x.failed {
		line := ""
		switch {
		case errors.Is(f.err, errNoPrimary):
			continue
		case f.codes == nil:
			line = fmt.Sprintf("Server %s was not examined: %s.", f.server, trimmed(f.err))
		case f.server == "":
			line = fmt.Sprintf("%s: not checked: %s.", strings.Join(f.codes, ", "), trimmed(f.err))
		default:
			line = fmt.Sprintf("%s: not checked on %s: %s.", strings.Join(f.codes, ", "), f.server, trimmed(f.err))
		}
		if !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	if x.primary == "" {
		out = append(out, "Nobody is known to be the primary, so what depends on the roles was not checked.")
	}
	return out
}

func trimmed(err error) string { return strings.TrimRight(err.Error(), ". \n") }

// blocking gives the findings that block: those of now, and those of before that could not be looked at.
func (x *examination) blocking(before []Finding) []Finding {
	var out []Finding
	for _, f := range x.report().Findings {
		if f.Blocks {
			out = append(out, f)
		}
	}
	for _, f := range before {
		if x.unseen(f) && !slices.ContainsFunc(out, f.same) {
			out = append(out, f)
		}
	}
	return out
}

// unseen reports whether the check that made f could not be made this time.
func (x *examination) unseen(f Finding) bool {
	return slices.ContainsFunc(x.failed, func(n failure) bool {
		return (n.codes == nil || slices.Contains(n.codes, f.Code)) && (n.server == "" || n.server == f.Server || f.Server == "")
	})
}
