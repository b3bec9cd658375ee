package doctor

import "fmt"

// Severity is how bad a finding is. The string form is the metric label.
type Severity uint8

// The severities.
const (
	Info     Severity = iota // good to know
	Warning                  // slower, or less safe after something else has gone wrong
	Critical                 // a failover would lose data, write twice, or not work
)

var severityNames = [...]string{"info", "warning", "critical"}

// String gives the lower-case name.
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return severityNames[Info]
}

// MarshalText writes the name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Severity) UnmarshalText(text []byte) error {
	for i, name := range severityNames {
		if name == string(text) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("unknown severity %q", text)
}

// Blocks says whether findings of a code keep a failover from happening without an operator.
type Blocks uint8

// The ways of blocking.
const (
	BlocksNever Blocks = iota
	BlocksAlone        // when no standby is free of it: with others the failover chooses one of those
	BlocksAlways
)

var blocksNames = [...]string{"no", "unless another standby is free of it", "yes"}

// String gives the words of the documentation.
func (b Blocks) String() string {
	if int(b) < len(blocksNames) {
		return blocksNames[b]
	}
	return blocksNames[BlocksNever]
}
