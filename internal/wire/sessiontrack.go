package wire

// TrackKind is the type byte of one session state change
// (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html).
type TrackKind byte

// The kinds of session state changes.
const (
	TrackVariable TrackKind = 0 // Name and Value of a system variable
	TrackSchema   TrackKind = 1 // Value is the new default schema
	TrackState    TrackKind = 2 // Value "1": some session state changed
	TrackGTID     TrackKind = 3 // Value is the GTID set of the transaction (MySQL)
	TrackTxnChars TrackKind = 4 // Value is the SQL that restores the characteristics of the next transaction
	TrackTxnState TrackKind = 5 // Value is the eight-letter state, such as "T_______"
)

// TrackEntry is one session state change. Its slices alias the packet.
type TrackEntry struct {
	Kind  TrackKind
	Name  []byte
	Value []byte
}

// TrackReader walks over the state changes of one OK packet.
type TrackReader struct {
	rest []byte
	name []byte // pending bytes of a variable list
	err  error
}

// NewTrackReader reads the entries in track, the field of that name of OK.
func NewTrackReader(track []byte) TrackReader { return TrackReader{rest: track} }

// Err is the error that ended the walk, nil at its regular end.
func (r *TrackReader) Err() error { return r.err }

// Next gives the next entry; false at the end or at a malformed entry.
func (r *TrackReader) Next() (TrackEntry, bool) {
	for {
		if len(r.name) > 0 {
			return r.variable()
		}
		if len(r.rest) == 0 || r.err != nil {
			return TrackEntry{}, false
		}
		kind := TrackKind(r.rest[0])
		body, n, ok := ReadLenEncBytes(r.rest[1:])
		if !ok {
			return r.fail()
		}
		r.rest = r.rest[1+n:]
		if kind != TrackVariable {
			return r.entry(kind, body)
		}
		r.name = body
	}
}

func (r *TrackReader) entry(kind TrackKind, body []byte) (TrackEntry, bool) {
	switch kind {
	case TrackGTID:
		if len(body) == 0 { // an encoding byte precedes the text
			return r.fail()
		}
		return r.text(kind, body[1:])
	case TrackState: // the only kind whose value has no length of its own
		return TrackEntry{Kind: kind, Value: body}, true
	default:
		return r.text(kind, body)
	}
}

func (r *TrackReader) text(kind TrackKind, body []byte) (TrackEntry, bool) {
	if kind > TrackTxnState { // a kind this code does not know: hand it on undecoded
		return TrackEntry{Kind: kind, Value: body}, true
	}
	v, _, ok := ReadLenEncBytes(body)
	if !ok {
		return r.fail()
	}
	return TrackEntry{Kind: kind, Value: v}, true
}

// variable reads one name/value pair; MariaDB may put several into one entry.
func (r *TrackReader) variable() (TrackEntry, bool) {
	name, n, ok := ReadLenEncBytes(r.name)
	if !ok {
		return r.fail()
	}
	value, m, ok := ReadLenEncBytes(r.name[n:])
	if !ok {
		return r.fail()
	}
	r.name = r.name[n+m:]
	return TrackEntry{Kind: TrackVariable, Name: name, Value: value}, true
}

func (r *TrackReader) fail() (TrackEntry, bool) {
	r.err = ErrMalformed
	r.rest, r.name = nil, nil
	return TrackEntry{}, false
}
