package detect

import (
	"fmt"
	"strings"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// ownSentence says what the probes of p met; bad is for how long they have failed.
func ownSentence(p topology.Observation, bad time.Duration) string {
	name := p.Instance.Name
	switch p.Class {
	case topology.ClassOK, topology.ClassUnknown:
		return name + " answers."
	case topology.ClassRefused, topology.ClassReset, topology.ClassTimeout:
		return fmt.Sprintf("%s %s (%s in %s).", name, inWords(p), counted(max(1, p.BadProbes), "probe"), span(bad))
	case topology.ClassAuth, topology.ClassTooMany, topology.ClassShutdown, topology.ClassWriteStuck, topology.ClassError,
		topology.ClassReadOnly:
		return fmt.Sprintf("%s %s.", name, inWords(p))
	default:
		return fmt.Sprintf("%s %s.", name, inWords(p))
	}
}

// inWords puts the class of o and its error into words that follow its name.
func inWords(o topology.Observation) string {
	words := "answers with an error"
	switch o.Class {
	case topology.ClassRefused:
		words = "refuses connections"
	case topology.ClassReset:
		words = "ends connections"
	case topology.ClassTimeout:
		words = "does not answer in time"
	case topology.ClassAuth:
		words = "is alive but does not let the control account in"
	case topology.ClassTooMany:
		words = "is alive but has no connection left"
	case topology.ClassShutdown:
		words = "is shutting down"
	case topology.ClassWriteStuck:
		words = "answers reads but not writes"
	case topology.ClassReadOnly:
		words = "is alive but closed for writes"
	case topology.ClassError, topology.ClassOK, topology.ClassUnknown:
	}
	if o.Err == "" {
		return words
	}
	return words + ": " + trimmed(o.Err)
}

func splitSentences(p topology.Observation, rivals []topology.Observation) []string {
	out := []string{p.Instance.Name + " is writable, as the primary should be."}
	for _, r := range rivals {
		out = append(out, fmt.Sprintf("%s is writable as well, although %s is the primary.", r.Instance.Name, p.Instance.Name))
	}
	return out
}

// evidence is all sentences of a case: of the probes, of the clients, of the standbys.
func (c badCase) evidence() []string {
	out := []string{ownSentence(c.primary, c.now.Sub(c.began))}
	if c.since.After(c.began) {
		out = append(out, fmt.Sprintf("Clients got answers from %s until %s ago.", c.primary.Instance.Name, span(c.now.Sub(c.since))))
	}
	if n := c.primary.Lost; n > 0 {
		out = append(out, fmt.Sprintf("Clients lost %s to %s.", counted(n, "connection"), c.primary.Instance.Name))
	}
	if len(c.witnesses) == 0 {
		return append(out, "There is no standby to ask.")
	}
	for _, w := range c.witnesses {
		out = append(out, w.sentence)
	}
	return out
}

func (c badCase) receivesSentence(o topology.Observation) string {
	return fmt.Sprintf("%s still receives from %s, the last time %s ago.",
		o.Instance.Name, c.primary.Instance.Name, span(o.ReceiveAge))
}

func (c badCase) answeredSentence(o topology.Observation, l topology.Link) string {
	return fmt.Sprintf("%s gets an answer from %s: %s.", o.Instance.Name, c.primary.Instance.Name, receiver(l))
}

func (c badCase) soonSentence(o topology.Observation, limit time.Duration) string {
	return fmt.Sprintf("%s has received nothing from %s for %s; it takes %s to tell.",
		o.Instance.Name, c.primary.Instance.Name, span(o.ReceiveAge), span(limit))
}

func (c badCase) silentSentence(o topology.Observation, l topology.Link) string {
	return fmt.Sprintf("%s has received nothing from %s for %s: %s.",
		o.Instance.Name, c.primary.Instance.Name, span(o.ReceiveAge), receiver(l))
}

func (c badCase) lostSentence(o topology.Observation, l topology.Link) string {
	return fmt.Sprintf("%s does not reach %s either: %s.", o.Instance.Name, c.primary.Instance.Name, receiver(l))
}

func (c badCase) refusedSentence(o topology.Observation, l topology.Link) string {
	return fmt.Sprintf("%s is refused by %s, too: %s.", o.Instance.Name, c.primary.Instance.Name, receiver(l))
}

func (c badCase) stoppedSentence(o topology.Observation, l topology.Link) string {
	return fmt.Sprintf("%s is no witness, it was not receiving from %s: %s.", o.Instance.Name, c.primary.Instance.Name, receiver(l))
}

func (c badCase) idleSentence(o topology.Observation, l topology.Link) string {
	return fmt.Sprintf("%s is no witness, it had received nothing from %s for %s when the trouble began: %s.",
		o.Instance.Name, c.primary.Instance.Name, span(max(0, o.ReceiveAge-c.now.Sub(c.since))), receiver(l))
}

func (c badCase) otherErrorSentence(o topology.Observation, l topology.Link) string {
	return fmt.Sprintf("%s is no witness, its error says nothing about whether %s runs: %s.",
		o.Instance.Name, c.primary.Instance.Name, receiver(l))
}

func (c badCase) oldErrorSentence(o topology.Observation, l topology.Link) string {
	return fmt.Sprintf("%s is no witness, its error may be older than the trouble and it tries again every %s: %s.",
		o.Instance.Name, span(retried(l)-retryMargin), receiver(l))
}

// obstacle says why the standby called name cannot take over; "" when nothing was seen that speaks against it.
func obstacle(name string, l topology.Link) string {
	switch {
	case l.Delay > 0:
		return fmt.Sprintf("%s cannot take over: it is a delayed replica (%s).", name, l.Delay)
	case l.SQL != topology.ThreadYes && l.SQLErrno != 0:
		return fmt.Sprintf("%s cannot take over: its applier has stopped with error %d, %s.", name, l.SQLErrno, trimmed(l.SQLError))
	case l.SQL != topology.ThreadYes:
		return fmt.Sprintf("%s cannot take over: its applier does not run.", name)
	default:
		return ""
	}
}

// receiver puts the state of the receiver thread into words.
func receiver(l topology.Link) string {
	words := "its receiver (IO thread) says " + l.IO.String()
	if l.IOErrno == 0 {
		return words
	}
	return fmt.Sprintf("%s, error %d, %s", words, l.IOErrno, trimmed(l.IOError))
}

func trimmed(s string) string { return strings.TrimRight(s, ". \n") }

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// span prints a duration as exactly as it matters.
func span(d time.Duration) string {
	if d < time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
