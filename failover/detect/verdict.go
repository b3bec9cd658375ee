package detect

import "time"

// Kind is what is the matter with the primary. The string form is the API's word and the metric label.
type Kind uint8

// The verdicts, from harmless to worst. Only Down and Unreachable, with a standby that can take over, are a reason to
// move the role without being asked.
const (
	Unknown     Kind = iota // not seen yet, or no primary is known
	Fine                    // it answers
	Suspect                 // something is wrong and the evidence is not complete yet
	Leaving                 // it shuts down cleanly
	WriteStuck              // reads are answered, writes are not
	MyLink                  // it is not reached from here, but its standby still receives from it
	Isolated                // no server is reached: all are down, or it is this machine's network
	Down                    // its process is gone: refused here and for its standby
	Unreachable             // it hangs or is cut off, from here and from its standby
	NoCandidate             // Down or Unreachable, and no standby can take over
	Split                   // more than one server is writable
)

var kindNames = [...]string{"UNKNOWN", "FINE", "SUSPECT", "LEAVING", "WRITE_STUCK", "MY_LINK", "ISOLATED", "CONFIRMED_DOWN", "CONFIRMED_UNREACHABLE", "NO_CANDIDATE", "SPLIT"}

// String gives the word of the API.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[Unknown]
}

// MarshalText implements encoding.TextMarshaler.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Verdict is a Kind with what led to it. It is immutable.
type Verdict struct {
	Kind    Kind   `json:"kind"`
	Primary string `json:"primary"` // the server that it is about
	// Cause is Down or Unreachable when Kind is NoCandidate, else equal to Kind.
	Cause Kind `json:"cause"`
	// Since is when the trouble began, as far as it was seen; zero when there is none.
	Since time.Time `json:"since,omitzero"`
	// Evidence are whole sentences, each one sign with its source.
	Evidence []string `json:"evidence"`
}
