package doctor

import (
	"strings"
	"time"
)

// Finding is something that a person should put right, or know.
type Finding struct {
	Code     string   `json:"code"` // stable; Catalogue lists all
	Severity Severity `json:"severity"`
	Server   string   `json:"server"`   // "" when it is about the cluster
	Summary  string   `json:"summary"`  // sentences: what is wrong and why it matters
	Evidence []string `json:"evidence"` // what the servers said
	Fix      []string `json:"fix"`      // SQL, or lines of the configuration file, to run or write
	// Blocks: while this is so, there is no failover without an operator.
	Blocks bool `json:"blocks"`
}

// Report is what one examination found out.
type Report struct {
	Cluster string        `json:"cluster"`
	At      time.Time     `json:"at"` // when it began
	Took    time.Duration `json:"took_ns"`
	// Findings are sorted: the worst first, then by server and code.
	Findings []Finding `json:"findings"`
	Checks   int       `json:"checks"` // how many checks there are
	// Failed are the checks that could not be made, on which server, and why.
	Failed []string `json:"failed"`
	// Statements is how many statements the servers were asked together.
	Statements int `json:"statements"`
}

// Worst is the highest severity of the findings; ok is false when there are none.
func (r Report) Worst() (worst Severity, ok bool) {
	for _, f := range r.Findings {
		worst = max(worst, f.Severity)
	}
	return worst, len(r.Findings) > 0
}

// Count is the number of findings of severity s.
func (r Report) Count(s Severity) (n int) {
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// sentence is the finding in one line with its code, for people who see no more of it.
func (f Finding) sentence() string {
	return strings.TrimRight(f.Summary, " ") + " (" + f.Code + ")"
}
