package failover

// ring keeps the newest events of one cluster in the order of their numbers. The journal's mu guards it.
type ring struct {
	events []Event // grows to its limit; then next is the oldest one and is replaced next
	next   int
	limit  int
}

// ring returns the ring of a cluster and makes it when it is the first time. The caller holds mu.
func (j *Journal) ring(cluster string) *ring {
	r := j.rings[cluster]
	if r == nil {
		r = &ring{limit: j.cfg.Ring}
		j.rings[cluster] = r
	}
	return r
}

func (r *ring) add(e Event) {
	if len(r.events) < r.limit {
		r.events = append(r.events, e)
		return
	}
	r.events[r.next] = e
	r.next = (r.next + 1) % r.limit
}

// after appends the events with Seq > seq to out.
func (r *ring) after(out []Event, seq uint64) []Event {
	for i := range r.events {
		if e := r.events[(r.next+i)%len(r.events)]; e.Seq > seq {
			out = append(out, e)
		}
	}
	return out
}

// oldest is the number of the oldest event; forgot is true when older ones may have been dropped.
func (r *ring) oldest() (seq uint64, forgot bool) {
	if len(r.events) == 0 {
		return 0, false
	}
	return r.events[r.next%len(r.events)].Seq, len(r.events) == r.limit
}
