package wire

import "encoding/binary"

// Features are the negotiated capabilities that change the shape of responses.
type Features struct {
	DeprecateEOF     bool // CLIENT_DEPRECATE_EOF
	OptionalMetadata bool // CLIENT_OPTIONAL_RESULTSET_METADATA (MySQL)
	CacheMetadata    bool // MARIADB_CLIENT_CACHE_METADATA
	Progress         bool // MARIADB_CLIENT_PROGRESS
}

// Mark says why Tracker.Feed stopped.
type Mark uint8

// The reasons for Feed to stop.
const (
	MarkMore      Mark = iota // give it more bytes
	MarkOK                    // an OK packet stands whole in [Start, End): status and session state can be read from it
	MarkEOF                   // an EOF packet stands whole in [Start, End)
	MarkERR                   // an ERR packet that ends the response stands whole in [Start, End)
	MarkPrepareOK             // the first packet of a COM_STMT_PREPARE response stands whole in [Start, End)
	MarkInfile                // the server asks for a local file: the client has the word until its empty packet
	MarkDone                  // the response ended without a terminal packet of its own (statistics, definitions)
	MarkMalformed             // the bytes are no response to this command
)

// Found is the result of one Feed: Mark, where the packet of interest stands, and whether the response ends with it.
type Found struct {
	Mark       Mark
	Start, End int // offsets into the bytes fed; the packet with its header is p[Start:End]
	Last       bool
}

type trackState uint8

const (
	stDone trackState = iota
	stFirst
	stDefs
	stDefsEOF
	stRows
	stFieldList
	stPrepParams
	stPrepParamsEOF
	stPrepColumns
	stPrepColumnsEOF
	stStatistics
	stTerminator // one OK, EOF or ERR (SET_OPTION, DEBUG)
	stStream     // binary log: packets up to ERR or EOF
)

// maxTerminal bounds the packets that must stand whole in the buffer before they are understood (OK, EOF, ERR and
// the heads of result sets). The largest in practice is an OK with all session variables of a server, some 15 kB.
const maxTerminal = 1 << 20

// Tracker follows the response to one command at packet level and finds its end. It never looks into rows. It is
// told the command by Begin and is then fed with the bytes of the server in any portions. It allocates nothing.
type Tracker struct {
	features Features
	command  byte
	state    trackState
	started  bool // some of the response was understood and can have been forwarded
	cont     bool // the packet being skipped has the maximal length: another one continues it
	skip     int  // payload bytes of the current packet that pass through unread
	left     int  // definitions still to come
	columns  int  // of a PREPARE response, to come after the parameters
	bare     bool // the definitions of a PREPARE response are left out
	outs     bool // the rows are OUT parameters: the answer to the CALL itself follows
	cursor   bool // the command asks for a cursor
	status   Status
}

// NewTracker makes a tracker for a connection with the given features.
func NewTracker(f Features) Tracker { return Tracker{features: f} }

// HasResponse reports whether the server answers command c at all.
func HasResponse(c byte) bool {
	return c != ComStmtClose && c != ComStmtSendLongData && c != ComQuit
}

// Begin expects the response to command c.
func (t *Tracker) Begin(c byte) {
	t.command, t.skip, t.cont, t.left, t.status, t.started, t.outs, t.cursor = c, 0, false, 0, 0, false, false, false
	switch c {
	case ComStmtClose, ComStmtSendLongData, ComQuit:
		t.state = stDone
	case ComStatistics:
		t.state = stStatistics
	case ComFieldList:
		t.state = stFieldList
	case ComSetOption, ComDebug:
		t.state = stTerminator
	case ComStmtFetch:
		t.state = stRows
	case ComBinlogDump, ComBinlogDumpGTID, ComTableDump:
		t.state = stStream
	default:
		t.state = stFirst
	}
}

// AskCursor says that the command under way, an execution, asks for a cursor. In the answers to others the flag of one means
// nothing: MariaDB sets it for what a routine selects while a cursor of its own is open (10.11).
func (t *Tracker) AskCursor() { t.cursor = true }

// AfterInfile expects the OK or ERR that follows a local file.
func (t *Tracker) AfterInfile() { t.state = stFirst }

// Started reports whether some of the response was understood, so that an error can no longer be put in its place.
func (t *Tracker) Started() bool { return t.started }

// Feed looks at p and returns how many of its bytes were understood and can be forwarded. With MarkMore the rest of p
// (an incomplete header or terminal packet) must be fed again together with the bytes that follow it. With any other
// mark n is the end of the packet found, and Feed wants to be called again with p[n:] unless Last is set. With
// MarkMalformed n is where the bytes stop making sense.
func (t *Tracker) Feed(p []byte) (n int, f Found) {
	n, f = t.feed(p)
	t.started = t.started || n > 0
	return n, f
}

func (t *Tracker) feed(p []byte) (n int, f Found) {
	for {
		if t.skip > 0 {
			m := min(t.skip, len(p)-n)
			n += m
			if t.skip -= m; t.skip > 0 {
				return n, Found{}
			}
			if t.state == stDone {
				return n, Found{Mark: MarkDone, Start: n, End: n, Last: true}
			}
		}
		if len(p)-n < HeaderSize {
			return n, Found{}
		}
		size := PayloadLen(p[n:])
		if t.cont {
			t.cont = size == MaxPayload
			n += HeaderSize
			t.skip = size
			continue
		}
		if size == 0 {
			return n, Found{Mark: MarkMalformed}
		}
		if len(p)-n < HeaderSize+1 {
			return n, Found{}
		}
		whole, ok := t.interesting(p[n+HeaderSize], size)
		if !ok {
			return n, Found{Mark: MarkMalformed}
		}
		if whole {
			end := n + HeaderSize + size
			if len(p) < end {
				return n, Found{}
			}
			if f = t.take(p[n+HeaderSize : end]); f.Mark == MarkMalformed {
				return n, f
			}
			if f.Mark != MarkMore {
				f.Start, f.End = n, end
				return end, f
			}
			n = end
			continue
		}
		t.pass()
		t.cont = size == MaxPayload
		n += HeaderSize
		t.skip = size
	}
}

// interesting reports whether the packet must be seen whole.
func (t *Tracker) interesting(first byte, size int) (whole, ok bool) {
	switch t.state {
	case stFirst, stTerminator, stDefsEOF, stPrepParamsEOF, stPrepColumnsEOF:
		return true, size <= maxTerminal
	case stRows, stFieldList, stStream:
		switch first {
		case HeaderERR:
			// no row begins with 0xFF: it is no length and no NULL
			return true, size <= maxTerminal
		case HeaderEOF:
			// a row that begins with an eight-byte length is longer than any packet that ends a result
			return size < MaxPayload && size <= maxTerminal, true
		}
		return false, true
	case stDefs, stPrepParams, stPrepColumns:
		return first == HeaderERR, first != HeaderERR || size <= maxTerminal
	default:
		return false, true
	}
}

// pass accounts for one packet that is forwarded unread.
func (t *Tracker) pass() {
	switch t.state {
	case stStatistics:
		t.state = stDone
	case stDefs, stPrepParams, stPrepColumns:
		if t.left--; t.left == 0 {
			t.afterDefs()
		}
	case stDone, stFirst, stDefsEOF, stRows, stFieldList, stPrepParamsEOF, stPrepColumnsEOF, stTerminator, stStream:
	}
}

func (t *Tracker) afterDefs() {
	switch t.state {
	case stDefs:
		t.state = stRows
		if !t.features.DeprecateEOF {
			t.state = stDefsEOF
		}
	case stPrepParams:
		if !t.features.DeprecateEOF {
			t.state = stPrepParamsEOF
			return
		}
		t.prepColumns()
	case stPrepColumns:
		t.state = stDone
		if !t.features.DeprecateEOF {
			t.state = stPrepColumnsEOF
		}
	case stDone, stFirst, stDefsEOF, stRows, stFieldList, stPrepParamsEOF, stPrepColumnsEOF, stStatistics, stTerminator, stStream:
	}
}

func (t *Tracker) prepColumns() {
	t.state = stDone
	if t.columns > 0 {
		t.definitions(stPrepColumns, t.columns)
	}
}

// definitions expects n definitions of a PREPARE response; when they are left out, the EOF behind them still comes
// (seen on MySQL 9.7.4).
func (t *Tracker) definitions(s trackState, n int) {
	t.state, t.left = s, n
	if t.bare {
		t.afterDefs()
	}
}

// take understands one whole packet of interest.
func (t *Tracker) take(payload []byte) Found {
	switch {
	case payload[0] == HeaderERR && len(payload) >= 3:
		return t.takeERR(payload)
	case t.state == stFirst:
		return t.takeFirst(payload)
	case t.state == stDefsEOF:
		return t.takeEOF(payload, stRows)
	case t.state == stPrepParamsEOF:
		t.prepColumns()
		return t.takeEOF(payload, t.state)
	case t.state == stPrepColumnsEOF:
		return t.takeEOF(payload, stDone)
	case t.state == stTerminator && payload[0] == HeaderOK:
		return t.takeOK(payload)
	case payload[0] == HeaderEOF:
		return t.takeTerminator(payload)
	default:
		return Found{Mark: MarkMalformed}
	}
}

// progressReport is the error code of MariaDB's progress reports, which are no errors.
const progressReport = 0xFFFF

func (t *Tracker) takeERR(payload []byte) Found {
	if t.features.Progress && binary.LittleEndian.Uint16(payload[1:]) == progressReport {
		return Found{} // the answer proper follows
	}
	t.state = stDone
	return Found{Mark: MarkERR, Last: true}
}

func (t *Tracker) takeFirst(payload []byte) Found {
	switch payload[0] {
	case HeaderOK:
		if t.command == ComStmtPrepare {
			return t.takePrepare(payload)
		}
		return t.takeOK(payload)
	case HeaderEOF:
		if len(payload) < 9 || t.features.DeprecateEOF {
			return t.takeTerminator(payload)
		}
		return Found{Mark: MarkMalformed}
	case HeaderInfile:
		return Found{Mark: MarkInfile}
	default:
		return t.takeResultSet(payload)
	}
}

func (t *Tracker) takeOK(payload []byte) Found {
	o, err := ParseOK(payload)
	if err != nil {
		return Found{Mark: MarkMalformed}
	}
	return t.ended(MarkOK, o.Status)
}

// ended notes the status of a terminal packet and whether another response follows.
func (t *Tracker) ended(m Mark, s Status) Found {
	t.status = s
	if s.Has(StatusMoreResults) {
		t.state = stFirst
		return Found{Mark: m}
	}
	t.state = stDone
	return Found{Mark: m, Last: true}
}

func (t *Tracker) takeTerminator(payload []byte) Found {
	if t.features.DeprecateEOF && len(payload) >= 7 {
		return t.takeOK(payload)
	}
	if len(payload) < 5 {
		return Found{Mark: MarkMalformed}
	}
	s := Status(binary.LittleEndian.Uint16(payload[3:]))
	if t.outs { // MySQL says that more follows in the EOF before these rows only (seen on 9.7.4)
		t.status, t.state, t.outs = s, stFirst, false
		return Found{Mark: MarkEOF}
	}
	return t.ended(MarkEOF, s)
}

// takeEOF takes the EOF between definitions and what follows them.
func (t *Tracker) takeEOF(payload []byte, next trackState) Found {
	if payload[0] != HeaderEOF || len(payload) < 5 {
		return Found{Mark: MarkMalformed}
	}
	t.status = Status(binary.LittleEndian.Uint16(payload[3:]))
	t.state = next
	t.outs = next == stRows && t.status.Has(StatusPSOutParams)
	if next == stRows && t.cursor && t.status.HasCursor() {
		t.state = stDone // the rows stay in the cursor
	}
	return Found{Mark: MarkEOF, Last: t.state == stDone}
}

// takeResultSet reads the column count that opens a result set. MySQL with OPTIONAL_METADATA and MariaDB with
// CACHE_METADATA append a flag that is 0 when no definitions follow (count first, then flag: seen on MySQL 9.7.4 and
// MariaDB 10.11, contrary to the manuals). The EOF after the definitions comes even when these are left out.
func (t *Tracker) takeResultSet(payload []byte) Found {
	count, n, ok := ReadLenEnc(payload)
	if !ok || count == 0 || count > 1<<16 {
		return Found{Mark: MarkMalformed}
	}
	meta := true
	if n < len(payload) && (t.features.OptionalMetadata || t.features.CacheMetadata) {
		meta = payload[n] != 0
	}
	t.left = int(count)
	switch {
	case meta:
		t.state = stDefs
	case t.features.DeprecateEOF:
		t.state = stRows
	default:
		t.state = stDefsEOF
	}
	return Found{}
}

// takePrepare reads `00 id4 columns2 params2 00 warnings2 [flag]`.
func (t *Tracker) takePrepare(payload []byte) Found {
	if len(payload) < 9 {
		return Found{Mark: MarkMalformed}
	}
	t.columns = int(binary.LittleEndian.Uint16(payload[5:]))
	params := int(binary.LittleEndian.Uint16(payload[7:]))
	t.bare = t.features.OptionalMetadata && len(payload) > 12 && payload[12] == 0
	if params > 0 {
		t.definitions(stPrepParams, params)
	} else {
		t.prepColumns()
	}
	return Found{Mark: MarkPrepareOK, Last: t.state == stDone}
}
