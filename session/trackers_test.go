package session

import (
	"bytes"
	"testing"

	"github.com/onewriter/onewriter/internal/sqlclass"
	"github.com/onewriter/onewriter/internal/wire"
)

// TestTrackingClientSeesWhatItAskedFor: what only the proxy has switched on does not reach a client with session tracking.
func TestTrackingClientSeesWhatItAskedFor(t *testing.T) {
	schema, state := change(wire.TrackSchema, str("other")...), stateChanged
	txn, chars := change(wire.TrackTxnState, str("T_______")...), change(wire.TrackTxnChars, str("START TRANSACTION;")...)
	autocommit, mode := setVar("autocommit", "ON"), setVar("sql_mode", "ANSI")
	all := bytes.Join([][]byte{schema, state, txn, chars, autocommit, mode}, nil)
	for _, c := range []struct {
		sets []string
		want [][]byte
	}{
		{nil, [][]byte{schema, autocommit}},
		{[]string{"SET session_track_state_change=ON"}, [][]byte{schema, state, autocommit}},
		{[]string{"SET session_track_state_change=1, SESSION session_track_transaction_info='STATE'"}, [][]byte{schema, state, txn, autocommit}},
		{[]string{`SET @@session.session_track_transaction_info="CHARACTERISTICS"`}, [][]byte{schema, txn, chars, autocommit}},
		{[]string{"SET session_track_system_variables='sql_mode, Time_Zone'"}, [][]byte{schema, mode}},
		{[]string{"SET session_track_system_variables='*'"}, [][]byte{schema, autocommit, mode}},
		{[]string{"SET session_track_system_variables=''"}, [][]byte{schema}},
		{[]string{"SET session_track_system_variables='*'", "SET session_track_system_variables=DEFAULT"}, [][]byte{schema, autocommit}},
		{[]string{"SET session_track_system_variables='" + numbered("v%d,", 200_000) + "'"}, [][]byte{all}},
		{[]string{"SET GLOBAL session_track_state_change=1"}, [][]byte{schema, autocommit}},
		{[]string{"SET session_track_system_variables=CONCAT(@@session_track_system_variables, ',sql_mode')"}, [][]byte{schema, autocommit, mode}},
		{[]string{"SET session_track_system_variables=@saved", "SET session_track_system_variables=''"}, [][]byte{schema}},
		{[]string{"SET session_track_transaction_info=@saved"}, [][]byte{schema, txn, chars, autocommit}},
		{[]string{"SET session_track_state_change=@saved", "SET session_track_schema=@saved"}, [][]byte{schema, state, autocommit}},
	} {
		r := newRig(t, Config{Flavor: MySQL, Client: serverCaps, Server: serverCaps})
		for _, s := range c.sets {
			r.sql(s, auto)
		}
		want := okay(auto, bytes.Join(c.want, nil)...)
		if _, got := r.run(query("USE other"), okay(auto, all...)); !bytes.Equal(got, want) {
			t.Errorf("%q:\ngot  %q\nwant %q", c.sets, got, want)
		}
		r.run(packet(0, wire.ComResetConnection), okay(auto))
		want = okay(auto, append(bytes.Clone(schema), autocommit...)...)
		if _, got := r.run(query("USE other"), okay(auto, all...)); !bytes.Equal(got, want) {
			t.Errorf("%q, after a reset:\ngot  %q\nwant %q", c.sets, got, want)
		}
	}
}

func TestFailedSetOfTrackersChangesNothing(t *testing.T) {
	r := newRig(t, Config{Flavor: MySQL, Client: serverCaps, Server: serverCaps})
	r.run(query("SET session_track_state_change=1, nonsense=2"), refusal(1193))
	want := okay(auto)
	if _, got := r.run(query("SET @a=1"), okay(auto, stateChanged...)); !bytes.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNamedTrackersAllocateNothing(t *testing.T) {
	var k trackers
	k.learn([]byte("SET session_track_system_variables='sql_mode'"), sqlclass.Options{}, true)
	e := wire.TrackEntry{Kind: wire.TrackVariable, Name: []byte("sql_mode")}
	if n := testing.AllocsPerRun(100, func() { _ = k.wants(e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestTrackingClientWithEOF: mysql2 has session tracking and no DEPRECATE_EOF, and shows the status to the application.
func TestTrackingClientWithEOF(t *testing.T) {
	const caps = wire.ClientProtocol41 | wire.ClientSessionTrack
	r := newRig(t, Config{Flavor: MySQL, Client: caps, Server: caps})
	result := func(s wire.Status) []byte {
		b := append(packet(1, 1), packet(2, 3, 'd', 'e', 'f')...)
		b = append(b, packet(3, 0xfe, 0, 0, byte(s), byte(s>>8))...)
		b = append(b, packet(4, 1, '1')...)
		return append(b, packet(5, 0xfe, 0, 0, byte(s), byte(s>>8))...)
	}
	changed := wire.StatusAutocommit | wire.StatusSessionStateChanged
	if _, got := r.run(query("CALL p()"), result(changed)); !bytes.Equal(got, result(wire.StatusAutocommit)) {
		t.Errorf("got %x", got)
	}
	r.sql("SET session_track_state_change=1", auto)
	if _, got := r.run(query("CALL p()"), result(changed)); !bytes.Equal(got, result(changed)) {
		t.Errorf("got %x", got)
	}
}

// TestNoClientIsLedAway: what a server says of another place to connect to does not reach a client.
func TestNoClientIsLedAway(t *testing.T) {
	zone := setVar("time_zone", "SYSTEM")
	for _, c := range []struct{ url, want []byte }{
		{setVar("redirect_url", "mariadb://elsewhere:3306"), zone},
		{setVar("redirect_url", ""), append(setVar("redirect_url", ""), zone...)},
	} {
		core := New(Config{Flavor: MariaDB, Client: serverCaps, Server: serverCaps})
		got, err := core.Login(okay(auto, append(bytes.Clone(c.url), zone...)...)[wire.HeaderSize:])
		if want := okay(auto, c.want...)[wire.HeaderSize:]; err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: got %q, %v, want %q", c.url, got, err, want)
		}
	}
}
