package conf

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// unreadable makes a problem of what the YAML library says about data. The library often names the line where the group or
// list begins in which it lost its way, so the line is looked for here.
func unreadable(data []byte, err error) Problem {
	m := yamlError.FindStringSubmatch(err.Error())
	if m == nil {
		return Problem{Text: err.Error()}
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	p := Problem{Text: "this is not YAML: " + m[2]}
	if p.Line, _ = strconv.Atoi(m[1]); len(data) <= maxSearched {
		p.Line = brokenLine(lines)
	}
	if p.Line < 1 || p.Line > len(lines) {
		return p
	}
	p.Excerpt = excerpt(lines, p.Line)
	line := lines[p.Line-1]
	switch {
	case bytes.Contains(line[:len(line)-len(bytes.TrimLeft(line, " \t"))], []byte("\t")):
		p.Fix = "indent with spaces, not with tabs"
	case bytes.Contains(line, []byte("${")):
		p.Fix = "inside braces or brackets a value with ${...} must be in quotes"
	default:
		p.Fix = "compare its indentation with the lines above, and look for a missing quote, colon, brace or dash"
	}
	return p
}

// yamlError takes an error of the YAML library apart: its line and its text.
var yamlError = regexp.MustCompile(`(?s)^yaml: (?:line (\d+): )?(.*)$`)

const (
	maxSearched  = 32 << 10 // bytes of a file in which the line is looked for; the library is believed about larger ones
	longestValue = 50       // lines of one value, a list in brackets for example
)

// brokenLine finds the first line, counted from 1, from which on the beginning of the text is no YAML, however much of the
// rest is added. The whole text must be none.
func brokenLine(lines [][]byte) int {
	good, bad := 0, len(lines)
	for good+1 < bad {
		middle := (good + bad) / 2
		if n := readableFrom(lines, middle, bad); n > 0 {
			good = n
		} else {
			bad = middle
		}
	}
	return bad
}

// readableFrom is the first number of lines from middle on, below bad, with which the text is YAML; 0 for none. With
// middle lines it may end within a value.
func readableFrom(lines [][]byte, middle, bad int) int {
	for n := middle; n < min(bad, middle+longestValue); n++ {
		if readable(lines, n) {
			return n
		}
	}
	return 0
}

func readable(lines [][]byte, n int) bool {
	_, err := parseYAML(bytes.Join(lines[:n], nil))
	return err == nil
}

var (
	secretValue = regexp.MustCompile(`((?:password|token)["']?\s*:\s*).*`)
	anyKey      = regexp.MustCompile(`^[\s-]*[a-z_]+:(\s|$)`)
)

// excerpt shows the line n, counted from 1, below the one before it, without secrets.
func excerpt(lines [][]byte, n int) []string {
	var out []string
	for i := max(1, n-1); i <= n; i++ {
		text := strings.TrimRight(string(lines[i-1]), "\r\n")
		if i > 1 && secretValue.Match(lines[i-2]) && !anyKey.MatchString(text) {
			text = redacted // perhaps the rest of a secret of several lines
		}
		mark := " "
		if i == n {
			mark = ">"
		}
		text = secretValue.ReplaceAllString(strings.ReplaceAll(text, "\t", "→"), "${1}"+redacted)
		out = append(out, fmt.Sprintf("%s %3d | %.120s", mark, i, text))
	}
	return out
}
