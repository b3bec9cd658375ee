package rejoin

import (
	"strings"
	"testing"

	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/topology"
)

func TestTheWorstFindingIsTheVerdict(t *testing.T) {
	for _, c := range []struct {
		findings []Verdict
		want     Verdict
	}{
		{nil, Clean},
		{[]Verdict{Unknown}, Unknown},
		{[]Verdict{Diverged, Unknown}, Diverged},
		{[]Verdict{Unknown, Diverged}, Diverged},
		{[]Verdict{Diverged, RebuiltWithSameID, Diverged}, RebuiltWithSameID},
	} {
		j := Judgement{Verdict: Clean}
		for _, v := range c.findings {
			j.because(v, "Found.")
		}
		if j.Verdict != c.want || len(j.Reasons) != len(c.findings) {
			t.Errorf("%v: %s with %d reasons, want %s", c.findings, j.Verdict, len(j.Reasons), c.want)
		}
	}
	if (Judgement{}).Verdict != Unknown {
		t.Error("the zero verdict lets a server in")
	}
}

func TestOwnOnly(t *testing.T) {
	beat := binlog.Transaction{Changes: []binlog.Change{{Schema: flavor.Schema, Table: "heartbeat"}}}
	row := binlog.Transaction{Changes: []binlog.Change{{Schema: flavor.Schema, Table: "heartbeat"}, {Schema: "app", Table: "acks"}}}
	ddl := binlog.Transaction{Statements: []string{"DROP TABLE onewriter.heartbeat"}}
	for _, c := range []struct {
		list []binlog.Transaction
		want bool
	}{
		{nil, false}, {[]binlog.Transaction{beat, beat}, true}, {[]binlog.Transaction{beat, row}, false}, {[]binlog.Transaction{beat, ddl}, false},
	} {
		if got := ownOnly(c.list); got != c.want {
			t.Errorf("%+v: %t", c.list, got)
		}
	}
}

// Servers that cannot replicate from each other are never clean.
func TestComparable(t *testing.T) {
	good := topology.Facts{Flavor: "mysql", ServerID: 1, ServerUUID: "u"}
	for _, c := range []struct {
		is   topology.Facts
		want bool
		text string
	}{
		{topology.Facts{Flavor: "mysql", ServerID: 2, ServerUUID: "v"}, true, ""},
		{topology.Facts{Flavor: "mariadb", ServerID: 2, ServerUUID: "v"}, false, "is a mysql server"},
		{topology.Facts{Flavor: "mysql", ServerID: 1, ServerUUID: "v"}, false, "same server_id"},
		{topology.Facts{Flavor: "mysql", ServerID: 2, ServerUUID: "u"}, false, "auto.cnf"},
	} {
		j := Judgement{Verdict: Clean}
		e := evidence{old: Server{Instance: topology.Instance{Name: "a"}}, primary: Server{Instance: topology.Instance{Name: "b"}}, was: good, is: c.is}
		if got := e.comparable(&j); got != c.want || (j.Verdict == Clean) != c.want || !strings.Contains(strings.Join(j.Reasons, " "), c.text) {
			t.Errorf("%+v: %t %s %q", c.is, got, j.Verdict, j.Reasons)
		}
	}
}
