package fence

import (
	"time"
)

// Kind says what keeps the old primary from acknowledging writes. The string form is the API's word.
type Kind uint8

// The kinds, from the strongest to none.
const (
	NotFenced  Kind = iota // nothing: it may still acknowledge writes of clients that do not come through Onewriter
	Proved                 // its flags were set and read back
	ByDeath                // it has no process: refused here and for its standby
	BySemiSync             // it cannot acknowledge anything: its only acknowledger has stopped receiving
	ByCommand              // the configured command reported success
	ByWatchdog             // its own watchdog has closed it by now
)

var kindNames = [...]string{"not-fenced", "fenced-proved", "fenced-by-death", "fenced-by-semisync", "fenced-by-command", "fenced-by-watchdog"}

// String gives the word of the API.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[NotFenced]
}

// Command is a program that switches a server off (STONITH).
type Command struct {
	Argv    []string      // program and arguments; empty means that there is none
	Timeout time.Duration // after which it has failed
}
