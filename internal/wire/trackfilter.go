package wire

// Keep rewrites the whole packet pkt (header included), whose payload was decoded to o, in place so that it holds only
// the session state changes that keep accepts, and returns it shortened. With none left it is what the server would have
// sent to a client that tracks nothing. State changes that can't be read are left as they are.
func (o OK) Keep(pkt []byte, keep func(TrackEntry) bool) []byte {
	n, ok := filterTrack(o.Track, keep)
	switch {
	case ok && n == 0: // also when there was nothing, as after MySQL's ALTER TABLE
		return o.Strip(pkt)
	case !ok || n == len(o.Track):
		return pkt
	}
	payload := pkt[HeaderSize:]
	at := o.infoAt
	if _, size, ok := ReadLenEncBytes(payload[at:]); ok {
		at += size
	}
	b := AppendLenEnc(payload[:at], uint64(n)) // not longer than the prefix that stood there
	b = append(b, o.Track[:n]...)
	PutHeader(pkt, len(b), pkt[3])
	return pkt[:HeaderSize+len(b)]
}

// filterTrack moves the entries that keep accepts to the front of track and gives their size in bytes; false when track
// is malformed, which leaves it as it is.
func filterTrack(track []byte, keep func(TrackEntry) bool) (n int, ok bool) {
	check := NewTrackReader(track)
	for more := true; more; {
		_, more = check.Next()
	}
	if check.Err() != nil {
		return 0, false
	}
	for rest := track; len(rest) > 0; {
		kind := TrackKind(rest[0])
		body, size, _ := ReadLenEncBytes(rest[1:])
		entry := rest[:1+size]
		rest = rest[1+size:]
		if kind == TrackVariable {
			n += filterVariables(track[n:], body, keep)
			continue
		}
		r := NewTrackReader(entry)
		if e, _ := r.Next(); keep(e) {
			n += copy(track[n:], entry)
		}
	}
	return n, true
}

// filterVariables writes the name/value pairs of body that keep accepts to the front of dst, as one entry, and gives its
// size. The body may stand in dst, one header behind its beginning or further.
func filterVariables(dst, body []byte, keep func(TrackEntry) bool) int {
	kept := 0
	for rest := body; len(rest) > 0; {
		name, n, _ := ReadLenEncBytes(rest)
		value, m, _ := ReadLenEncBytes(rest[n:])
		if keep(TrackEntry{Kind: TrackVariable, Name: name, Value: value}) {
			kept += copy(body[kept:], rest[:n+m])
		}
		rest = rest[n+m:]
	}
	if kept == 0 {
		return 0
	}
	out := AppendLenEnc(append(dst[:0], byte(TrackVariable)), uint64(kept))
	return len(append(out, body[:kept]...))
}
