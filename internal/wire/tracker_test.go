package wire

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// reply builds a server's response packet by packet.
type reply struct {
	b   []byte
	seq byte
}

func (r *reply) packet(payload ...byte) *reply {
	r.seq++
	r.b = AppendPacket(r.b, r.seq, payload)
	return r
}

func (r *reply) ok(head byte, s Status) *reply {
	return r.packet(head, 0, 0, byte(s), byte(s>>8), 0, 0)
}

func (r *reply) eof(s Status) *reply { return r.packet(HeaderEOF, 0, 0, byte(s), byte(s>>8)) }

func (r *reply) err(code uint16) *reply { return r.packet(AppendErr(nil, code, "HY000", "refused")...) }

// end closes rows the way the connection's mode does.
func (r *reply) end(deprecateEOF bool, s Status) *reply {
	if deprecateEOF {
		return r.ok(HeaderEOF, s)
	}
	return r.eof(s)
}

func (r *reply) defs(n int, deprecateEOF bool, s Status) *reply {
	for i := range n {
		r.packet(3, 'd', 'e', 'f', byte(i))
	}
	if !deprecateEOF {
		r.eof(s)
	}
	return r
}

// huge appends a packet sequence of size payload bytes that begins with first.
func (r *reply) huge(first byte, size int) *reply {
	for {
		n := min(size, MaxPayload)
		r.seq++
		r.b = append(r.b, byte(n), byte(n>>8), byte(n>>16), r.seq)
		body := make([]byte, n)
		for i := range body {
			body[i] = HeaderERR // what a naive reader would take for an error
		}
		if n > 0 {
			body[0] = first
		}
		first = HeaderEOF // the first byte of a continuation means nothing
		r.b = append(r.b, body...)
		if size -= n; n < MaxPayload {
			return r
		}
	}
}

type trackCase struct {
	name     string
	features Features
	command  byte
	bytes    []byte
	marks    string // of every Feed that is not MarkMore
	status   Status
}

var markNames = map[Mark]string{
	MarkOK: "ok", MarkEOF: "eof", MarkERR: "err", MarkPrepareOK: "prepare", MarkInfile: "infile", MarkDone: "done",
	MarkMalformed: "malformed",
}

func trackCases() []trackCase {
	var cases []trackCase
	for _, de := range []bool{true, false} {
		cases = append(cases, queryCases(de)...)
		cases = append(cases, statementCases(de)...)
		cases = append(cases, otherCases(de)...)
	}
	return cases
}

// closing is the mark of a terminator.
func closing(de bool) string {
	if de {
		return "ok"
	}
	return "eof"
}

func queryCases(de bool) []trackCase {
	f := Features{DeprecateEOF: de}
	mid := "" // the mark of the EOF behind definitions
	if !de {
		mid = "eof "
	}
	end := closing(de)
	more, cursor := StatusMoreResults|StatusAutocommit, StatusCursorExists
	optional, cached, progress := f, f, f
	optional.OptionalMetadata, cached.CacheMetadata, progress.Progress = true, true, true
	resultset := func() *reply {
		return new(reply).packet(2).defs(2, de, 0).packet(1, 'a', 1, 'b').packet(0xFB, 0xFB)
	}
	return []trackCase{
		{"ok", f, ComQuery, new(reply).ok(0, StatusInTrans).b, "ok", StatusInTrans},
		{"err", f, ComQuery, new(reply).err(1064).b, "err", 0},
		{"result set", f, ComQuery, resultset().end(de, StatusAutocommit).b, mid + end, StatusAutocommit},
		{"empty result set", f, ComQuery, new(reply).packet(1).defs(1, de, 0).end(de, 0).b, mid + end, 0},
		{"two results and ok", f, ComQuery, resultset().end(de, more).packet(1).defs(1, de, 0).packet(1, 'x').end(de, more).ok(0, 2).b, mid + end + " " + mid + end + " ok", 2},
		{"ok then err", f, ComQuery, new(reply).ok(0, more).err(1146).b, "ok err", more},
		{"error in mid rows", f, ComQuery, resultset().err(1317).b, mid + "err", 0},
		{"error in definitions", f, ComQuery, new(reply).packet(2).packet(3, 'd', 'e', 'f').err(1105).b, "err", 0},
		{"long first column", f, ComQuery, new(reply).packet(1).defs(1, de, 0).packet(append([]byte{0xFC, 0, 2}, make([]byte, 512)...)...).end(de, 0).b, mid + end, 0},
		{"251 columns", f, ComQuery, new(reply).packet(0xFC, 251, 0).defs(251, de, 0).end(de, 0).b, mid + end, 0},
		{"out parameters", f, ComStmtExecute, new(reply).packet(1).defs(1, de, 0).packet(0, 0, 1).end(de, more|StatusPSOutParams).ok(0, 2).b, mid + end + " ok", 2},
		{"out parameters of MySQL", f, ComStmtExecute, outsOfMySQL(de), mid + end + " ok", 2},
		{"flag of a routine's cursor", f, ComQuery, new(reply).packet(1).defs(1, de, more|cursor).packet(1, '1').end(de, more|cursor).ok(HeaderOK, 0).b, mid + end + " ok", 0},
		{"flag of a routine's cursor in an execution", f, ComStmtExecute, new(reply).packet(1).defs(1, de, more|cursor).packet(1, '1').end(de, more|cursor).ok(HeaderOK, 0).b, mid + end + " ok", 0},
		{"cursor", f, ComStmtExecute, new(reply).packet(1).defs(1, true, 0).end(de, cursor).b, end, cursor},
		{"optional: none", optional, ComQuery, cutDefs(de, 3, 0).packet(1, 'x', 1, 'y', 1, 'z').end(de, 0).b, mid + end, 0},
		{"optional: full", optional, ComQuery, new(reply).packet(1, 1).defs(1, de, 0).packet(1, 'x').end(de, 0).b, mid + end, 0},
		{"cached: none", cached, ComStmtExecute, cutDefs(de, 2, 0).packet(0, 0, 1, 1).end(de, 0).b, mid + end, 0},
		{"cached: full", cached, ComStmtExecute, new(reply).packet(1, 1).defs(1, de, 0).end(de, 0).b, mid + end, 0},
		{"progress, then ok", progress, ComQuery, new(reply).err(0xFFFF).err(0xFFFF).ok(0, 2).b, "ok", 2},
		{"progress, then err", progress, ComQuery, new(reply).err(0xFFFF).err(1205).b, "err", 0},
		{"0xFFFF without progress", f, ComQuery, new(reply).err(0xFFFF).b, "err", 0},
		{"infile", f, ComQuery, new(reply).packet(HeaderInfile, 'f', 'i', 'l', 'e').b, "infile", 0},
		{"process info", f, ComProcessInfo, resultset().end(de, 0).b, mid + end, 0},
	}
}

// outsOfMySQL are OUT parameters. Without DEPRECATE_EOF, MySQL says only in the EOF before them that more follows.
func outsOfMySQL(de bool) []byte {
	const more = StatusMoreResults | StatusPSOutParams
	r := new(reply).packet(1).defs(1, de, more).packet(0, 0, 1)
	if de {
		return r.end(de, more).ok(0, 2).b
	}
	return r.eof(2).ok(0, 2).b
}

// cutDefs opens a result set of n columns without definitions: the EOF comes all the same.
func cutDefs(de bool, n byte, s Status) *reply {
	r := new(reply).packet(n, 0)
	if !de {
		r.eof(s)
	}
	return r
}

func prepareOK(columns, params byte, flag ...byte) *reply {
	return new(reply).packet(append([]byte{0, 1, 0, 0, 0, columns, 0, params, 0, 0, 0, 0}, flag...)...)
}

// bare adds the EOF packets that come even when definitions are left out.
func bare(de bool, r *reply, n int) *reply {
	for range n {
		r.defs(0, de, 0)
	}
	return r
}

func statementCases(de bool) []trackCase {
	f := Features{DeprecateEOF: de}
	optional := f
	optional.OptionalMetadata = true
	both, one := "prepare eof eof", "prepare eof"
	if de {
		both, one = "prepare done", "prepare done"
	}
	return []trackCase{
		{"prepare: params and columns", f, ComStmtPrepare, prepareOK(2, 1).defs(1, de, 0).defs(2, de, 0).b, both, 0},
		{"prepare: params", f, ComStmtPrepare, prepareOK(0, 2).defs(2, de, 0).b, one, 0},
		{"prepare: columns", f, ComStmtPrepare, prepareOK(3, 0).defs(3, de, 0).b, one, 0},
		{"prepare: neither", f, ComStmtPrepare, prepareOK(0, 0).b, "prepare", 0},
		{"prepare: no metadata", optional, ComStmtPrepare, bare(de, prepareOK(2, 2, 0), 2).b, strings.ReplaceAll(both, " done", ""), 0},
		{"prepare: no metadata, params", optional, ComStmtPrepare, bare(de, prepareOK(0, 2, 0), 1).b, strings.ReplaceAll(one, " done", ""), 0},
		{"prepare: no metadata, nothing", optional, ComStmtPrepare, prepareOK(0, 0, 0).b, "prepare", 0},
		{"prepare: with metadata", optional, ComStmtPrepare, prepareOK(2, 0, 1).defs(2, de, 0).b, one, 0},
		{"prepare: err", f, ComStmtPrepare, new(reply).err(1064).b, "err", 0},
		{"fetch", f, ComStmtFetch, new(reply).packet(0, 0, 1).packet(0, 0, 2).end(de, StatusLastRowSent).b, closing(de), StatusLastRowSent},
		{"fetch nothing", f, ComStmtFetch, new(reply).end(de, StatusLastRowSent).b, closing(de), StatusLastRowSent},
		{"fetch: err", f, ComStmtFetch, new(reply).err(1243).b, "err", 0},
		{"bulk", f, ComStmtBulkExecute, new(reply).ok(0, 2).b, "ok", 2},
		{"reset", f, ComStmtReset, new(reply).ok(0, 2).b, "ok", 2},
	}
}

func otherCases(de bool) []trackCase {
	f := Features{DeprecateEOF: de}
	end := closing(de)
	return []trackCase{
		{"ping", f, ComPing, new(reply).ok(0, 2).b, "ok", 2},
		{"init db: err", f, ComInitDB, new(reply).err(1049).b, "err", 0},
		{"reset connection", f, ComResetConnection, new(reply).ok(0, 2).b, "ok", 2},
		{"set option", f, ComSetOption, new(reply).end(de, 2).b, end, 2},
		{"set option: ok", f, ComSetOption, new(reply).ok(0, 2).b, "ok", 2},
		{"debug: err", f, ComDebug, new(reply).err(1227).b, "err", 0},
		{"statistics", f, ComStatistics, new(reply).packet([]byte("Uptime: 1")...).b, "done", 0},
		{"field list", f, ComFieldList, new(reply).defs(2, true, 0).end(de, 2).b, end, 2},
		{"field list: err", f, ComFieldList, new(reply).err(1146).b, "err", 0},
		{"binary log to EOF", f, ComBinlogDump, new(reply).packet(0, 1, 2, 3).packet(0, 0xEF, 1).eof(0).b, "eof", 0},
		{"binary log to ERR", f, ComBinlogDumpGTID, new(reply).packet(0, 1, 2, 3).err(1236).b, "err", 0},
		{"empty packet", f, ComQuery, []byte{0, 0, 0, 1}, "malformed", 0},
		{"short OK", f, ComQuery, new(reply).packet(0, 0).b, "malformed", 0},
		{"no columns", f, ComQuery, new(reply).packet(0xFC, 0, 0).b, "malformed", 0},
		{"too many columns", f, ComQuery, new(reply).packet(0xFD, 0, 0, 2).b, "malformed", 0},
		{"short prepare", f, ComStmtPrepare, new(reply).packet(0, 1, 0, 0, 0).b, "malformed", 0},
		{"not an EOF", f, ComSetOption, new(reply).packet(7, 7).b, "malformed", 0},
	}
}

// follow feeds b to a tracker in pieces whose sizes piece gives, and returns the marks and how far it came.
func follow(t testing.TB, c Features, command byte, b []byte, piece func(at int) int) (marks string, consumed int, tr Tracker) {
	tr = NewTracker(c)
	tr.Begin(command)
	if command == ComStmtExecute {
		tr.AskCursor()
	}
	at, held := 0, 0 // held: bytes behind at that were given already
	for {
		n, f := tr.Feed(b[at : at+held])
		if n < 0 || n > held {
			t.Fatalf("Feed used %d of %d bytes", n, held)
		}
		if f.Mark != MarkMore && f.Mark != MarkMalformed && (f.Start < 0 || f.Start > f.End || f.End != n) {
			t.Fatalf("packet at [%d,%d) of %d bytes used", f.Start, f.End, n)
		}
		at, held = at+n, held-n
		if f.Mark != MarkMore {
			marks += " " + markNames[f.Mark]
			if f.Last != (tr.state == stDone) && f.Mark != MarkMalformed {
				t.Fatalf("Last is %v and Done %v", f.Last, tr.state == stDone)
			}
			if f.Last || f.Mark == MarkMalformed || f.Mark == MarkInfile {
				break
			}
			continue
		}
		if at+held == len(b) {
			break
		}
		held += min(max(1, piece(at+held)), len(b)-at-held)
	}
	if marks != "" {
		marks = marks[1:]
	}
	return marks, at, tr
}

func wholly(int) int { return 1 << 30 }

func byByte(int) int { return 1 }

func splitAt(n int) func(int) int {
	return func(at int) int {
		if at < n {
			return n - at
		}
		return 1 << 30
	}
}

func TestTrackerFollowsEveryResponse(t *testing.T) {
	for _, c := range trackCases() {
		t.Run(fmt.Sprintf("%s/eof=%v", c.name, !c.features.DeprecateEOF), func(t *testing.T) {
			wantEnd := len(c.bytes)
			if c.marks == "malformed" {
				wantEnd = 0
			}
			check := func(how string, b []byte, piece func(int) int) {
				t.Helper()
				marks, n, tr := follow(t, c.features, c.command, b, piece)
				if marks != c.marks || n != wantEnd || tr.status != c.status {
					t.Fatalf("%s: marks %q at %d, status %#x; want %q at %d, %#x", how, marks, n, tr.status, c.marks, wantEnd, c.status)
				}
			}
			check("whole", c.bytes, wholly)
			check("by byte", c.bytes, byByte)
			// bytes behind the response are not its own
			check("with a tail", append(bytes.Clone(c.bytes), 7, 0, 0, 1, 0, 0), wholly)
			for i := 1; i < len(c.bytes); i++ {
				check(fmt.Sprintf("split at %d", i), c.bytes, splitAt(i))
			}
		})
	}
}

func TestTrackerPassesLongRows(t *testing.T) {
	for _, de := range []bool{true, false} {
		for _, size := range []int{MaxPayload - 1, MaxPayload, MaxPayload + 7} {
			r := new(reply).packet(1).defs(1, de, 0)
			at := len(r.b)
			r.huge(0xFE, size) // an eight-byte length: looks like a terminator
			if size < MaxPayload {
				r = new(reply).packet(1).defs(1, de, 0)
				r.huge(0xFD, size)
			}
			rowEnd := len(r.b)
			r.packet(1, 'x').end(de, StatusAutocommit)
			for _, split := range []int{at + 3, at + 4, at + 5, at + HeaderSize + MaxPayload + 2, rowEnd, rowEnd + 1, len(r.b)} {
				marks, n, _ := follow(t, Features{DeprecateEOF: de}, ComQuery, r.b, splitAt(split))
				want := "eof eof"
				if de {
					want = "ok"
				}
				if marks != want || n != len(r.b) {
					t.Fatalf("row of %d bytes split at %d: %q at %d of %d", size, split, marks, n, len(r.b))
				}
			}
		}
	}
}

func TestTrackerInfileGoesOn(t *testing.T) {
	tr := NewTracker(Features{})
	tr.Begin(ComQuery)
	b := new(reply).packet(HeaderInfile, 'f').b
	if n, f := tr.Feed(b); f.Mark != MarkInfile || f.Last || n != len(b) {
		t.Fatalf("%d, %+v", n, f)
	}
	if !tr.Started() {
		t.Error("the client has seen the request for its file")
	}
	tr.AfterInfile()
	if _, f := tr.Feed(new(reply).ok(0, 2).b); f.Mark != MarkOK || !f.Last {
		t.Fatalf("%+v", f)
	}
}

func TestTrackerStarted(t *testing.T) {
	for _, command := range []byte{ComQuery, ComStmtFetch, ComFieldList, ComStatistics, ComSetOption, ComBinlogDump} {
		tr := NewTracker(Features{})
		tr.Begin(command)
		if tr.Started() {
			t.Errorf("%s: started before the first byte", CommandName(command))
		}
		if tr.Feed([]byte{5, 0, 0}); tr.Started() {
			t.Errorf("%s: started though nothing was forwarded", CommandName(command))
		}
	}
	tr := NewTracker(Features{})
	tr.Begin(ComQuery)
	tr.Feed(new(reply).ok(0, StatusMoreResults).b)
	if !tr.Started() {
		t.Error("the client has seen the first of several results")
	}
}

func TestTrackerAllocatesNothing(t *testing.T) {
	b := new(reply).packet(2).defs(2, true, 0).packet(1, 'a', 1, 'b').packet(1, 'a', 1, 'b').ok(HeaderEOF, 2).b
	tr := NewTracker(Features{DeprecateEOF: true})
	if n := testing.AllocsPerRun(100, func() {
		tr.Begin(ComQuery)
		tr.Feed(b)
	}); n != 0 {
		t.Errorf("%v allocations per response", n)
	}
}

func FuzzTracker(f *testing.F) {
	for i, c := range trackCases() {
		f.Add(c.bytes, c.command, byte(i), uint16(i))
	}
	commands(f, func(features byte, sent, answer []byte) {
		f.Add(answer, sent[HeaderSize], features, uint16(len(answer)/2))
	})
	f.Fuzz(func(t *testing.T, b []byte, command, features byte, split uint16) {
		c := Features{
			DeprecateEOF: features&1 != 0, OptionalMetadata: features&2 != 0, CacheMetadata: features&4 != 0, Progress: features&8 != 0,
		}
		marks, n, _ := follow(t, c, command, b, wholly)
		for _, piece := range []func(int) int{byByte, splitAt(int(split))} {
			if m, k, _ := follow(t, c, command, b, piece); m != marks || k != n {
				t.Fatalf("whole: %q at %d, in pieces: %q at %d", marks, n, m, k)
			}
		}
	})
}

func BenchmarkTrackerOK(b *testing.B) {
	p := new(reply).ok(0, 2).b
	tr := NewTracker(Features{DeprecateEOF: true})
	for b.Loop() {
		tr.Begin(ComQuery)
		tr.Feed(p)
	}
}

func BenchmarkTrackerRows(b *testing.B) {
	r := new(reply).packet(1).defs(1, true, 0)
	const rows = 100
	for range rows {
		r.packet(5, 'h', 'e', 'l', 'l', 'o')
	}
	p := r.ok(HeaderEOF, 2).b
	tr := NewTracker(Features{DeprecateEOF: true})
	for b.Loop() {
		tr.Begin(ComQuery)
		tr.Feed(p)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
}
