package conf

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one finding about a configuration.
type Problem struct {
	Path    string   // the key, for example clusters[0].listeners[1].route, or the variable; "" for the file as a whole
	Line    int      // the line in the file, 0 when the value does not come from there
	Text    string   // what is wrong
	Fix     string   // what to do about it
	Excerpt []string // what stands there, with its line numbers, where the line alone would not tell; without secrets
}

// String gives the problem in one line, without the excerpt.
func (p Problem) String() string {
	var b strings.Builder
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	b.WriteString(p.Text)
	if p.Line > 0 {
		fmt.Fprintf(&b, ", line %d", p.Line)
	}
	if p.Fix != "" {
		b.WriteString(": ")
		b.WriteString(p.Fix)
	}
	return b.String()
}

// Error holds every problem of one configuration. It is never empty.
type Error struct {
	File     string
	Problems []Problem
}

// Error gives the problems, one per line after a line that counts them, each followed by its excerpt.
func (e *Error) Error() string {
	var b strings.Builder
	noun := "problems"
	if len(e.Problems) == 1 {
		noun = "problem"
	}
	fmt.Fprintf(&b, "%s: %d %s", e.File, len(e.Problems), noun)
	for _, p := range e.Problems {
		b.WriteString("\n  ")
		b.WriteString(p.String())
		for _, line := range p.Excerpt {
			b.WriteString("\n    ")
			b.WriteString(line)
		}
	}
	return b.String()
}

func sortProblems(ps []Problem) {
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
}
