package failover

import (
	"slices"
	"time"
)

// DefaultHistory is how many events a Filter without a limit lets pass.
const DefaultHistory = 200

// Filter says which events are wanted. Zero fields let everything pass.
type Filter struct {
	Cluster   string
	Operation string
	Kinds     []string
	After     uint64 // events with a greater number
	From      time.Time
	Until     time.Time
	Limit     int // the newest ones; default DefaultHistory
}

func (f Filter) pass(e Event) bool {
	return (f.Cluster == "" || e.Cluster == f.Cluster) &&
		(f.Operation == "" || e.Operation == f.Operation) &&
		(len(f.Kinds) == 0 || slices.Contains(f.Kinds, e.Kind)) &&
		e.Seq > f.After && (f.From.IsZero() || !e.At.Before(f.From)) && (f.Until.IsZero() || !e.At.After(f.Until))
}

// History returns the newest events that pass f, oldest first. It looks into the files only when the memory does not
// reach back far enough. With an error, which is about the files, what was found is returned as well.
func (j *Journal) History(f Filter) ([]Event, error) {
	if f.Limit <= 0 {
		f.Limit = DefaultHistory
	}
	out := newest(j.Events(f.After), f)
	if len(out) == f.Limit || j.cfg.Path == "" || !j.forgot(f) {
		return out, nil
	}
	found := &ring{limit: f.Limit}
	_, err := j.scan(func(e Event) {
		if f.pass(e) {
			found.add(e)
		}
	})
	return found.after(nil, 0), err
}

// forgot reports whether events that may pass f are no longer in memory.
func (j *Journal) forgot(f Filter) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for cluster, r := range j.rings {
		if f.Cluster != "" && f.Cluster != cluster {
			continue
		}
		if oldest, forgot := r.oldest(); forgot && f.After+1 < oldest {
			return true
		}
	}
	return false
}

func newest(events []Event, f Filter) []Event {
	out := slices.DeleteFunc(events, func(e Event) bool { return !f.pass(e) })
	return out[max(0, len(out)-f.Limit):]
}
