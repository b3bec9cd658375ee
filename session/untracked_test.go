package session

import (
	"slices"
	"testing"

	"github.com/onewriter/onewriter/internal/wire"
)

// untrackedRig is a session on MySQL 5.6, whose answers tell nothing but the status.
func untrackedRig(t *testing.T) *rig {
	t.Helper()
	const old = clientCaps &^ (wire.ClientSessionTrack | wire.ClientDeprecateEOF)
	return newRig(t, Config{Flavor: MySQL, Client: old, Server: old, Schema: "app"})
}

func TestUntrackedStateIsTakenFromTheText(t *testing.T) {
	r := untrackedRig(t)
	for _, sql := range []string{
		"SET time_zone='+01:00', @a=1", "SET NAMES utf8mb4", "set session transaction  isolation level read committed;", "SET SESSION TRANSACTION READ ONLY",
		"USE `other``one`", "SELECT 1; SELECT 2", "SELECT NOW()", "INSERT INTO t VALUES (1)",
	} {
		r.sql(sql, auto)
		r.wantPins(0)
	}
	if got := r.core.Schema(); got != "other`one" {
		t.Errorf("schema %q", got)
	}
	want := []string{"SET NAMES utf8mb4,SESSION time_zone='+01:00',SESSION tx_isolation='READ-COMMITTED',SESSION tx_read_only=1", "SET @`a`=1"}
	r.core.Detach()
	if got := r.attach(); !slices.Equal(got, want) {
		t.Errorf("rebuilt with %q, want %q", got, want)
	}
}

func TestWhatUntrackedTextsDoNotTellPins(t *testing.T) {
	for sql, want := range map[string]Pin{
		"CALL p()":                  PinRoutine,
		"SELECT stored_function(1)": PinRoutine,
		"SELECT 1; USE other":       PinUnknown,
		"SET TRANSACTION ISOLATION LEVEL READ COMMITTED":                  PinUnknown,
		"SET @@tx_isolation='SERIALIZABLE'":                               PinUnknown,
		"SET SESSION TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE": PinUnknown,
		"SET sql_mode=CONCAT(@@sql_mode, ',ANSI')":                        PinUnknown,
		"CREATE TEMPORARY TABLE t (i INT)":                                PinTempTable,
	} {
		t.Run(sql, func(t *testing.T) {
			r := untrackedRig(t)
			r.sql(sql, auto)
			r.wantPins(want)
		})
	}
	failed := untrackedRig(t)
	failed.run(query("CALL p()"), refusal(1054))
	failed.wantPins(PinRoutine)
}

// After an error in a transaction, servers without trackers are asked whether it goes on, too.
func TestUntrackedTransactionAfterAnError(t *testing.T) {
	r := untrackedRig(t)
	r.sql("BEGIN", auto|wire.StatusInTrans)
	if r.core.FollowUp() != nil {
		t.Error("follow-up after a success")
	}
	r.run(query("INSERT INTO t VALUES (1)"), refusal(1062))
	if got := packets(t, r.core.FollowUp()); len(got) != 1 || got[0][0] != wire.ComPing {
		t.Errorf("follow-up %q, want a ping", got)
	}
}

func TestUntrackedServersRefuseAReset(t *testing.T) {
	r := untrackedRig(t)
	reset, change := Command{Code: wire.ComResetConnection}, Command{Code: wire.ComChangeUser}
	if r.core.StartsAnew(reset) || !r.core.StartsAnew(change) || !trackedRig(t).core.StartsAnew(reset) {
		t.Error("a session is taken for new after a command that the server refuses, or for old after one that it does not")
	}
}
