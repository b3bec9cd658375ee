package detect

import (
	"regexp"
	"strconv"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// testimony is what a standby tells of a primary that does not answer us.
type testimony uint8

const (
	mute      testimony = iota // nothing: it does not follow, its receiver was stopped, it cannot be asked
	unreached                  // nothing: it does not answer us either
	undecided                  // it may still receive; it is too early to tell
	receiving                  // the primary serves it
	silent                     // it gets nothing from the primary
	refused                    // the primary's machine refuses its connection
)

// witness is one other server.
type witness struct {
	says     testimony
	sentence string
	obstacle string // why it cannot take over, a sentence; "" when it can as far as was seen
}

// hear takes the testimony of o.
func (c badCase) hear(o topology.Observation) witness {
	name, primary := o.Instance.Name, c.primary.Instance.Name
	switch {
	case !hasFacts(o) && c.lately(o):
		return witness{receiving, name + " cannot be asked now. Before that: " + c.receivesSentence(o), name + " cannot take over: it cannot be asked."}
	case !o.Alive():
		return witness{unreached, name + " is not reached either: it " + inWords(o) + ".", name + " cannot take over: it is not reached."}
	case !hasFacts(o):
		return witness{mute, name + " cannot be asked: it " + inWords(o) + ".", name + " cannot take over: it cannot be asked."}
	}
	link, ok := linkFrom(o, c.primary)
	if !ok {
		return witness{mute, name + " is no witness: it is not known to replicate from " + primary + ".",
			name + " cannot take over: it is not known to replicate from " + primary + "."}
	}
	w := witness{obstacle: obstacle(name, link)}
	if !o.FactsAt.After(c.since) {
		w.says, w.sentence = undecided, name+" has not been asked since."
		return w
	}
	w.says, w.sentence = c.question(o, link)
	return w
}

// question judges the receiver of a standby that has answered since the trouble began.
func (c badCase) question(o topology.Observation, link topology.Link) (testimony, string) {
	limit := c.limits.silence(link)
	switch {
	case link.IO == topology.ThreadNo && !c.gaveUp(o, link):
		return mute, c.stoppedSentence(o, link)
	case link.IO == topology.ThreadYes && o.ReceiveAge < limit && c.received(o, c.since.Add(receiptMargin)):
		return receiving, c.receivesSentence(o)
	case link.IO != topology.ThreadYes && readSign(link) != signNone:
		return c.disconnected(o, link, limit)
	case o.ReceiveAge < limit:
		return undecided, c.soonSentence(o, limit)
	case c.received(o, c.since.Add(-limit)):
		return silent, c.silentSentence(o, link)
	default: // it has just been started, or was cut off before
		return mute, c.idleSentence(o, link)
	}
}

// lately reports whether o, which cannot be asked any more, said a moment ago that it still received after the trouble began.
func (c badCase) lately(o topology.Observation) bool {
	link, ok := linkFrom(o, c.primary)
	return ok && o.FactsAt.After(c.since) && link.IO == topology.ThreadYes && o.ReceiveAge < c.limits.silence(link) && c.received(o, c.since.Add(receiptMargin))
}

// received reports whether o received anything at the moment at or later.
func (c badCase) received(o topology.Observation, at time.Time) bool {
	return !c.now.Add(-o.ReceiveAge).Before(at)
}

// gaveUp reports whether a receiver that does not run has ended by itself, after the trouble began, because it could
// not reach the primary: its attempts are limited (SOURCE_RETRY_COUNT, 10 since MySQL 8.4). One that was stopped before
// may show an error of long ago.
func (c badCase) gaveUp(o topology.Observation, link topology.Link) bool {
	sign := readSign(link)
	return (sign == signRefused || sign == signLost) && !o.ReceivedAt.IsZero() && !o.ReceivedAt.Before(c.since.Add(-c.limits.Silence))
}

// disconnected judges a receiver that has no connection to the primary and says why.
func (c badCase) disconnected(o topology.Observation, link topology.Link, limit time.Duration) (testimony, string) {
	again := c.now.Sub(c.since) >= retried(link)
	switch sign := readSign(link); {
	case sign == signAnswered && again:
		return receiving, c.answeredSentence(o, link)
	case sign == signAnswered, sign == signOther:
		return mute, c.otherErrorSentence(o, link)
	case !again && !c.received(o, c.since.Add(-limit)):
		return mute, c.oldErrorSentence(o, link) // it did not receive until the trouble, so that was not what ended it
	case sign == signRefused:
		return refused, c.refusedSentence(o, link)
	default:
		return silent, c.lostSentence(o, link)
	}
}

// sign is what the error of a receiver says about its source.
type sign uint8

const (
	signNone     sign = iota // no error is shown
	signRefused              // connection refused
	signLost                 // the connection was lost, or is not answered
	signAnswered             // the source has answered, with an error
	signOther                // something else
)

// readSign reads the error of a receiver. Numbers below 2000 and from 3000 on are the source's own answers or faults of
// the standby; those between are the client library's.
func readSign(l topology.Link) sign {
	switch n := l.IOErrno; {
	case n == 0:
		return signNone
	case n == 2002 || n == 2003:
		return readSystemError(l.IOError)
	case n == 2006 || n == 2012 || n == 2013 || n == 2055 || n >= 1158 && n <= 1161:
		return signLost
	case n == 1040 || n == 1045 || n == 1129 || n == 1130 || n == 1203 || n == 1226 || n == 3118:
		return signAnswered
	default:
		return signOther
	}
}

// systemErrors are the numbers that the servers put into their texts, as "(111)", `(111 "Connection refused")` or
// "system error: 110".
var systemErrors = regexp.MustCompile(`(?:\(|system error: )(\d{1,5})\b`)

// unnumbered is all that MySQL 5.6 says when it cannot connect (seen on 5.6.24).
var unnumbered = regexp.MustCompile(`^error (?:re)?connecting to master '.*' - retry-time: \d+ +retries: \d+$`)

// readSystemError reads the kernel's error at the end of a text. They are Linux's.
func readSystemError(text string) sign {
	if unnumbered.MatchString(text) {
		return signLost // refused or not answered
	}
	all := systemErrors.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return signOther
	}
	n, err := strconv.Atoi(all[len(all)-1][1])
	if err != nil {
		return signOther
	}
	switch n {
	case 111: // ECONNREFUSED
		return signRefused
	case 101, 104, 110, 112, 113, 115: // ENETUNREACH, ECONNRESET, ETIMEDOUT, EHOSTDOWN, EHOSTUNREACH, EINPROGRESS
		return signLost
	default:
		return signOther
	}
}

// GaveUp reports whether a receiver has ended by itself because it could not get through to its source, or was not let in:
// its attempts are limited (SOURCE_RETRY_COUNT, 10 since MySQL 8.4). Starting it again does no harm. A receiver that was
// stopped while it could not get through looks the same.
func GaveUp(l topology.Link) bool {
	if l.IO != topology.ThreadNo {
		return false
	}
	switch readSign(l) {
	case signRefused, signLost, signAnswered:
		return true
	case signNone, signOther:
		return false
	default:
		return false
	}
}

// LinkFrom finds the link by which o receives from p.
func LinkFrom(o, p topology.Observation) (topology.Link, bool) { return linkFrom(o, p) }

// linkFrom finds the link by which o receives from p: by the source's server id where that is known, else by address.
func linkFrom(o, p topology.Observation) (topology.Link, bool) {
	for _, l := range o.Facts.Links {
		if p.Facts.ServerID != 0 && l.SourceServerID == p.Facts.ServerID {
			return l, true
		}
	}
	for _, l := range o.Facts.Links {
		known := p.Facts.ServerID != 0 && l.SourceServerID != 0
		if !known && l.Source == p.Instance.Address {
			return l, true
		}
	}
	return topology.Link{}, false
}
