package integration

import (
	"strings"
	"testing"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

// rawLogin logs in without a client library and without TLS; extra are capabilities beyond the usual. It gives the OK or
// the ERR.
func (l *lodge) rawLogin(t *testing.T, user, password string, extra wire.Capability) (*raw, []byte) {
	t.Helper()
	r, g := connectRaw(t, l.primary)
	response := wire.HandshakeResponse{
		Capabilities: (rawCapabilities | extra) &^ wire.ClientConnectWithDB & (g.Capabilities | wire.ClientMySQL), MaxPacket: 1 << 30, Charset: 45,
		User: user, Auth: scramble(g.AuthPlugin, password, r.salt), Plugin: g.AuthPlugin,
	}
	r.write(response.AppendTo(nil))
	return r, r.answer(password)
}

// wantErr checks that p is an ERR with the code.
func wantErr(t *testing.T, what string, p []byte, code uint16) {
	t.Helper()
	se, err := wire.ParseErr(p)
	if err != nil || se.Code != code {
		t.Errorf("%s: %q, want error %d", what, p, code)
	}
}

func (l *lodge) expiredPasswords(t *testing.T) {
	db := l.pair.Servers[0].DB()
	mustExec(t, db, "CREATE USER d1@'%' IDENTIFIED BY '"+marked+"d1' PASSWORD EXPIRE")
	mustExec(t, db, "GRANT SELECT ON app.* TO d1@'%'")
	if l.flavor == mysqltest.MariaDB {
		mustExec(t, db, "SET GLOBAL disconnect_on_expired_password=1")
		defer mustExec(t, db, "SET GLOBAL disconnect_on_expired_password=0")
	}
	_, p := l.rawLogin(t, "d1", marked+"d1", 0)
	wantErr(t, "a client that can't change it", p, 1862)
	r, p := l.rawLogin(t, "d1", marked+"d1", wire.ClientCanHandleExpiredPasswords)
	if p[0] != 0 {
		t.Fatalf("a client that can change it: %q", p)
	}
	r.send(append([]byte{wire.ComQuery}, "SELECT 1"...)...)
	wantErr(t, "a statement before it is changed", r.receive(), 1820)
	r.exec("SET PASSWORD = " + l.passwordValue(marked+"d1new"))
	if got := r.text("SELECT CURRENT_USER()"); len(got) != 1 || got[0] != "d1@%" {
		t.Errorf("after it was changed: %q", got)
	}
	r.exec("SET time_zone='+03:00'")
	r2, p := l.rawLogin(t, "d1", marked+"d1new", 0)
	if p[0] != 0 {
		t.Fatalf("with the new password: %q", p)
	}
	l.mustSwitch(`{"to":"b"}`)
	defer l.mustSwitch(`{"to":"a"}`)
	if got := r2.text("SELECT CURRENT_USER()"); len(got) != 1 || got[0] != "d1@%" {
		t.Errorf("with the new password, after a switchover: %q", got)
	}
	// The proxy knows only the password that the session has logged in with.
	r.send(append([]byte{wire.ComQuery}, "SELECT 1"...)...)
	wantErr(t, "the session of the old password after a switchover", r.receive(), 1053)
}

// passwordValue is what SET PASSWORD takes.
func (l *lodge) passwordValue(password string) string {
	if l.flavor == mysqltest.MariaDB {
		return "PASSWORD('" + password + "')"
	}
	return "'" + password + "'"
}

func (l *lodge) changedPasswords(t *testing.T) {
	db := l.pair.Servers[0].DB()
	mustExec(t, db, "CREATE USER d2@'%' IDENTIFIED BY '"+marked+"d2old'")
	old := account{user: "d2", password: marked + "d2old"}
	changed := account{user: "d2", password: marked + "d2new"}
	ctx := t.Context()
	before, err := old.pool(t, l.primary).Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, "ALTER USER d2@'%' IDENTIFIED BY '"+marked+"d2new'")
	if _, err := whoami(ctx, before); err != nil {
		t.Errorf("a session that was open when the password was changed: %v", err)
	}
	_, err = whoami(ctx, old.pool(t, l.primary))
	wantCode(t, err, 1045)
	after, err := changed.pool(t, l.primary).Conn(ctx)
	if err != nil {
		t.Fatalf("with the new password: %v", err)
	}
	plain := changed
	plain.plainly = true
	if _, err := whoami(ctx, plain.pool(t, l.primary)); err != nil {
		t.Errorf("with the new password, without TLS: %v", err)
	}
	l.mustSwitch(`{"to":"b"}`)
	defer l.mustSwitch(`{"to":"a"}`)
	if _, err := whoami(ctx, after); err != nil {
		t.Errorf("the session of the new password: %v", err)
	}
	if _, err = whoami(ctx, before); err == nil || !strings.Contains(err.Error(), "onewriter: session ended") {
		t.Errorf("the session of the old password: %v", err)
	}
	if _, err := whoami(ctx, changed.pool(t, l.primary)); err != nil {
		t.Errorf("with the new password at the other server: %v", err)
	}
}

func (l *lodge) changesOfUser(t *testing.T) {
	type target struct {
		account
		moves bool
	}
	targets := []target{
		{account{user: "a1", password: marked + "1"}, true},
		{account{user: "a9"}, true},
		{account{user: "b6", password: marked + "b6"}, true},
	}
	if l.flavor == mysqltest.MariaDB {
		targets = append(targets, target{account{user: "a4", password: marked + "4"}, false}, target{account{user: "a5", password: configured}, true},
			target{account{user: "a6", password: marked + "6e"}, false})
	} else {
		targets = append(targets, target{account{user: "a3", password: marked + "3"}, true}, target{account{user: "b12", password: marked + "b12old"}, true},
			target{account{user: "b12", password: marked + "b12new"}, true})
	}
	type session struct {
		target
		*raw
	}
	var sessions []session
	for _, x := range targets {
		r, p := l.rawLogin(t, mysqltest.AppUser, mysqltest.AppPassword, 0)
		if p[0] != 0 {
			t.Fatalf("login: %q", p)
		}
		r.exec("SET @x = 1")
		r.changeUser(x.user)
		if p := r.answer(x.password); p[0] != 0 {
			t.Errorf("change to %s: %q", x.user, p)
			continue
		}
		if got := r.text("SELECT CONCAT(CURRENT_USER(), COALESCE(@x, ''))"); len(got) != 1 || !strings.HasPrefix(got[0], x.user+"@") || strings.HasSuffix(got[0], "1") && x.user != "b6" {
			t.Errorf("after the change to %s: %q", x.user, got)
		}
		sessions = append(sessions, session{x, r})
	}
	r, _ := l.rawLogin(t, mysqltest.AppUser, mysqltest.AppPassword, 0)
	r.changeUser("a1")
	wantErr(t, "change with a wrong password", r.answer(marked+"wrong"), 1045)
	l.mustSwitch(`{"to":"b"}`)
	defer l.mustSwitch(`{"to":"a"}`)
	for _, s := range sessions {
		if !s.moves {
			continue
		}
		if got := s.text("SELECT CURRENT_USER()"); len(got) != 1 || !strings.HasPrefix(got[0], s.user+"@") {
			t.Errorf("%s after the switchover: %q", s.user, got)
		}
	}
}

// changeUser sends a change of user with no answer to any plugin yet.
func (r *raw) changeUser(user string) {
	r.t.Helper()
	r.send(wire.ChangeUser{User: user, Charset: 45, Plugin: "mysql_native_password"}.AppendTo(nil, rawCapabilities)...)
}
