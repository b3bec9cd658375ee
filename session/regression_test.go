package session

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/onewriter/onewriter/internal/wire"
)

// A client that pipelines PREPARE and EXECUTE of "the one prepared last" must not run an older statement when the
// PREPARE fails.
func TestLastPreparedIsForgottenWhenPrepareFails(t *testing.T) {
	r := trackedRig(t)
	r.prepare("INSERT INTO t VALUES (?)", 7, 0, 1)
	r.run(packet(0, append([]byte{wire.ComStmtPrepare}, "SELECT nonsense"...)...), refusal(1146))
	sent, _ := r.run(execute(lastPrepared, longType, 1, 0, 0, 0), refusal(1243))
	if id := getID(sent); id != 0 {
		t.Errorf("the server was asked to execute statement %d", id)
	}
}

// MariaDB's own checks of an execution depend on how the statement is named.
func TestLastPreparedKeepsItsNameWhereItMeansTheSame(t *testing.T) {
	r := trackedRig(t)
	first := r.prepare("SELECT ?", 7, 1, 1)
	r.prepare("DO ?", 8, 0, 1)
	want := func(command []byte, id uint32) {
		t.Helper()
		if sent, _ := r.run(command, okay(auto)); getID(sent) != id {
			t.Errorf("the server was asked for statement %d, want %d", getID(sent), id)
		}
	}
	again := func(command []byte, id byte) {
		t.Helper()
		if _, _, err := r.core.Peek(command); err != nil {
			t.Fatal(err)
		}
		if r.core.NeedsPrepare(command) == nil {
			t.Fatal("the statement is not prepared again")
		}
		if _, done, err := r.core.Prelude(prepared(uint32(id), 0, 1)); err != nil || !done {
			t.Fatal(done, err)
		}
	}
	want(execute(lastPrepared, longType, 1, 0, 0, 0), lastPrepared)
	want(execute(first, longType, 1, 0, 0, 0), 7)
	r.rebuilt()
	again(execute(lastPrepared, longType, 1, 0, 0, 0), 1)
	want(execute(lastPrepared, longType, 1, 0, 0, 0), lastPrepared)
	again(execute(first, longType, 1, 0, 0, 0), 2)
	want(execute(lastPrepared, longType, 1, 0, 0, 0), 1) // the server's last is the first one now
}

func TestTransactionStateIsAskedForAfterAnError(t *testing.T) {
	r := trackedRig(t)
	r.sql("BEGIN", auto|wire.StatusInTrans)
	r.run(query("UPDATE t SET a=1"), refusal(1213))
	ping := []byte{1, 0, 0, 0, wire.ComPing}
	if b := r.core.FollowUp(); !bytes.Equal(b, ping) {
		t.Fatalf("follow-up %x, want a ping", b)
	}
	if _, done, err := r.core.Prelude(okay(auto)); !done || err != nil {
		t.Fatal(done, err)
	}
	if r.core.Busy() || r.core.InTransaction() {
		t.Error("the transaction that the server ended is taken for open")
	}
	r.run(query("SELECT nonsense"), refusal(1064))
	if b := r.core.FollowUp(); b != nil {
		t.Errorf("a ping outside a transaction: %x", b)
	}
}

// A PREPARE that fails deallocates the statement that had the name.
func TestFailedPrepareDropsTheOldOne(t *testing.T) {
	r := trackedRig(t)
	r.sql("PREPARE p FROM 'SELECT 1'", auto, stateChanged...)
	r.sql("PREPARE q FROM 'SELECT 2'", auto, stateChanged...)
	r.run(query("PREPARE P FROM 'SELECT nonsense'"), refusal(1054))
	if got := r.rebuilt(); !slices.Equal(got, []string{"PREPARE q FROM 'SELECT 2'"}) {
		t.Errorf("rebuilt with %q", got)
	}
}

// The server connection is found dead when a statement is closed. On the next one its id may belong to another statement.
func TestCloseOnANewServerConnection(t *testing.T) {
	r := trackedRig(t)
	id := r.prepare("SELECT 1", 1, 1, 0)
	command := statementCommand(wire.ComStmtClose, id)
	if cmd, _, err := r.core.Peek(command); err != nil || cmd.Local {
		t.Fatal(cmd.Local, err)
	}
	r.core.Detach()
	r.attach()
	if out, _ := r.core.Begin(command); getID(out) != 0 {
		t.Errorf("statement %d is closed", getID(out))
	}
}

// Results that end with EOF packets leave a report to the answer to a ping. If the connection is lost before that, nobody knows
// what a routine did.
func TestReportThatIsLost(t *testing.T) {
	def, eof := packet(2, 3, 'd', 'e', 'f'), packet(3, 0xFE, 0, 0, byte(auto), 0)
	answer := bytes.Join([][]byte{packet(1, 1), def, eof, eof}, nil)
	ping := []byte{1, 0, 0, 0, wire.ComPing}
	for _, c := range []struct {
		name     string
		flavor   Flavor
		sql      string
		answered bool
		want     Pin
	}{
		{"mysql", MySQL, "CALL p()", false, PinRoutine},
		{"mysql, answered", MySQL, "CALL p()", true, 0},
		{"mysql, transaction", MySQL, "SELECT 1", false, 0},
		{"mariadb, which would have set a flag", MariaDB, "CALL p()", false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			const caps = wire.ClientProtocol41
			r := newRig(t, Config{Flavor: c.flavor, Client: caps, Server: caps | wire.ClientSessionTrack})
			if c.sql == "SELECT 1" {
				r.sql("SET TRANSACTION READ ONLY", auto, change(wire.TrackTxnChars, str("SET TRANSACTION READ ONLY;")...)...)
			}
			r.run(query(c.sql), answer)
			if b := r.core.FollowUp(); !bytes.Equal(b, ping) {
				t.Fatalf("follow-up %x, want a ping", b)
			}
			if c.answered {
				if _, done, err := r.core.Prelude(okay(auto)); !done || err != nil {
					t.Fatal(done, err)
				}
			}
			r.core.Detach()
			r.wantPins(c.want)
			if c.want == 0 {
				if got := r.attach(); len(got) != 1 { // beside what sets up the trackers
					t.Errorf("rebuilt with %q", got)
				}
			}
		})
	}
}

// What asks for a report and what sets up the trackers again go together.
func TestFollowUpOfSeveralStatements(t *testing.T) {
	const caps = wire.ClientProtocol41 | wire.ClientMultiStatements
	r := newRig(t, Config{Flavor: MySQL, Client: caps, Server: caps | wire.ClientSessionTrack})
	def, eof := packet(2, 3, 'd', 'e', 'f'), packet(3, 0xFE, 0, 0, byte(auto), 0)
	r.run(query("SET session_track_schema=0; CALL p()"), bytes.Join([][]byte{okay(auto | wire.StatusMoreResults), packet(1, 1), def, eof, eof}, nil))
	sent := packets(t, r.core.FollowUp())
	if len(sent) != 2 || sent[0][0] != wire.ComPing || !bytes.Contains(sent[1], []byte("session_track_schema=1")) {
		t.Fatalf("follow-up %q", sent)
	}
	if _, done, err := r.core.Prelude(append(okay(auto), okay(auto)...)); !done || err != nil {
		t.Fatal(done, err)
	}
	r.wantPins(PinRoutine)
}

func TestIdleSessionsKeepNoLongText(t *testing.T) {
	r := trackedRig(t)
	r.sql("SET @a='"+strings.Repeat("a", maxScratch)+"'", auto, stateChanged...)
	if n := cap(r.core.scratch); n > maxScratch {
		t.Errorf("%d bytes are kept", n)
	}
}

func TestLastInsertIDSurvives(t *testing.T) {
	r := trackedRig(t)
	r.run(query("INSERT INTO t VALUES ()"), packet(1, 0, 1, 42, byte(auto), byte(auto>>8), 0, 0))
	if r.core.Fetch() == nil { // 42 may stand in the statement
		t.Error("the server is not asked for LAST_INSERT_ID()")
	}
	r.core.Detach()
	r.wantPins(0)
	if texts := r.attach(); !slices.Contains(texts, "SET last_insert_id=42") {
		t.Errorf("rebuilt with %q", texts)
	}
}
