package rejoin

import (
	"context"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// Verdict is what was found out about a server that came back. The string form is the API's word.
type Verdict uint8

// The verdicts. Only a clean server may be attached.
const (
	Unknown           Verdict = iota // it cannot be found out; the reasons say why
	Clean                            // the primary has everything it has
	Diverged                         // it has transactions that the primary lacks
	RebuiltWithSameID                // it lacks transactions that it wrote itself, and would skip them silently for ever
)

var verdictNames = [...]string{"unknown", "clean", "diverged", "rebuilt_with_same_id"}

// String gives the word of the API.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return verdictNames[Unknown]
}

// Judgement is a verdict with what led to it.
type Judgement struct {
	Verdict Verdict
	// Errant are the transactions that only the server has, oldest first. It can be empty although the verdict is
	// Diverged, when the server's binary log could not be read; the reasons say so.
	Errant []binlog.Transaction
	// OwnOnly is true when there are errant transactions, all of them were read, and all their changes are in the schema
	// onewriter.
	OwnOnly bool
	Reasons []string // sentences
	// Position and Primary are the histories that were compared.
	Position, Primary gtid.Position
}

// badness orders the verdicts: what is known for certain counts more than what is not known.
var badness = [...]int{Clean: 0, Unknown: 1, Diverged: 2, RebuiltWithSameID: 3}

// because adds a finding; the verdict becomes v unless it is a worse one already.
func (j *Judgement) because(v Verdict, sentence string) {
	j.Reasons = append(j.Reasons, sentence)
	if badness[v] > badness[j.Verdict] {
		j.Verdict = v
	}
}

// evidence is what a judgement is made of.
type evidence struct {
	old, primary Server
	departure    coord.Departure
	was, is      topology.Facts // of old and of primary
}

// Judge finds out whether the server old may follow primary again: it may not have anything that primary lacks, and
// nothing of its own may be missing on it. It changes nothing. Links of old that have started by themselves do no harm:
// its history is read before that of the primary. The error says that one of the two could not be asked.
func Judge(ctx context.Context, old, primary Server, d coord.Departure) (Judgement, error) {
	e := evidence{old: old, primary: primary, departure: d}
	var err error
	if e.was, e.is, err = bothFacts(ctx, old, primary); err != nil {
		return Judgement{}, err
	}
	j := Judgement{Verdict: Clean, Position: e.was.Position, Primary: e.is.Position}
	if !e.comparable(&j) {
		return j, nil
	}
	if e.was.GTID && e.is.GTID {
		err = e.judgeHistory(ctx, &j)
	}
	if err == nil && (d.FilePos || !e.was.GTID || !e.is.GTID) {
		err = e.judgeLog(ctx, &j)
	}
	if err != nil {
		return Judgement{}, err
	}
	e.conclude(&j)
	return j, nil
}

// comparable reports whether the two are different servers of the same kind.
func (e evidence) comparable(j *Judgement) bool {
	old, primary := e.old.Instance.Name, e.primary.Instance.Name
	switch {
	case e.was.Flavor != e.is.Flavor:
		j.because(Unknown, old+" is a "+e.was.Flavor+" server and "+primary+" a "+e.is.Flavor+" server.")
	case e.was.ServerID == e.is.ServerID:
		j.because(Unknown, old+" and "+primary+" have the same server_id, so neither can replicate from the other. Give "+old+" its own.")
	case e.was.ServerUUID != "" && e.was.ServerUUID == e.is.ServerUUID && e.was.Flavor == "mysql":
		j.because(Unknown, old+" and "+primary+" have the same server_uuid. Remove auto.cnf in the data directory of "+old+" and restart it.")
	default:
		return true
	}
	return false
}

// conclude adds what follows from all findings.
func (e evidence) conclude(j *Judgement) {
	if len(j.Errant) == 0 {
		j.OwnOnly = false
	}
	for _, l := range e.was.Links {
		for _, text := range []string{l.IOError, l.SQLError} {
			if text != "" && j.Verdict != Clean {
				j.Reasons = append(j.Reasons, "Its link from "+l.Source+" says: "+text)
			}
		}
	}
	if j.Verdict == Diverged && e.departure.SemiSync && e.was.Flavor == "mariadb" {
		j.Reasons = append(j.Reasons, "Commits waited for the other server, so these were never acknowledged. MariaDB takes such transactions "+
			"back by itself when it recovers from a crash with the option --init-rpl-role=SLAVE; this start was without it.")
	}
}

// ownOnly reports whether nothing but Onewriter's own schema was changed.
func ownOnly(list []binlog.Transaction) bool {
	for _, t := range list {
		if len(t.Statements) > 0 {
			return false
		}
		for _, c := range t.Changes {
			if c.Schema != flavor.Schema {
				return false
			}
		}
	}
	return len(list) > 0
}
