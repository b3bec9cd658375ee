package auth

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"testing"
)

func hashOf(password string) string {
	stage1 := sha1Sum([]byte(password))
	stage2 := sha1Sum(stage1[:])
	return "*" + hex.EncodeToString(stage2[:])
}

func text(s string) sql.NullString { return sql.NullString{String: s, Valid: true} }

func TestAccountRows(t *testing.T) {
	priv := fmt.Sprintf(`{"access":1,"plugin":"mysql_native_password","authentication_string":%q,"auth_or":[{},{"plugin":"ed25519","authentication_string":"x"}]}`, hashOf("one"))
	var maria accountRow
	if err := decodeGlobalPriv(&maria, [3]sql.NullString{text(priv)}); err != nil {
		t.Fatal(err)
	}
	maria.User = "maria"
	var role accountRow
	if err := decodeGlobalPriv(&role, [3]sql.NullString{text(`{"is_role":true}`)}); err != nil || role.Logins != nil {
		t.Fatalf("role: %v, %v", role, err)
	}
	dual := accountRow{User: "dual"}
	attributes := fmt.Sprintf(`{"additional_password":%q}`, hashOf("old"))
	if err := decodeUser(&dual, [3]sql.NullString{text(PluginNative), text(hashOf("new")), text(attributes)}); err != nil {
		t.Fatal(err)
	}
	many := accountRow{User: "many"}
	if err := decodeUser(&many, [3]sql.NullString{text(PluginSHA2), text("$A$"), text(`{"multi_factor_authentication":[{}]}`)}); err != nil {
		t.Fatal(err)
	}
	pam := accountRow{User: "pam"}
	if err := decodeUser(&pam, [3]sql.NullString{text("authentication_pam"), {}, {}}); err != nil {
		t.Fatal(err)
	}
	accounts := group([]accountRow{maria, dual, many, pam})
	for user, want := range map[string]string{"maria": PluginNative, "dual": PluginNative, "many": "", "pam": PluginClear} {
		if got := accounts[user].plugin(); got != want {
			t.Errorf("%s: got %q, want %q", user, got, want)
		}
	}
	if n := len(accounts["maria"].native); n != 1 {
		t.Errorf("maria: %d hashes", n)
	}
	if n := len(accounts["dual"].native); n != 2 {
		t.Errorf("dual: %d hashes", n)
	}
}

func TestChangedAccountsAreTold(t *testing.T) {
	table := NewUserTable(UserTableConfig{})
	var told []string
	table.hooks.Store(&tableHooks{changed: func(user string) { told = append(told, user) }})
	row := func(user, hash string) accountRow {
		return accountRow{User: user, Host: "%", Logins: []login{{Plugin: PluginSHA2, Hash: hash}}}
	}
	table.publish(group([]accountRow{row("same", "1"), row("changed", "1"), row("gone", "1")}))
	table.publish(group([]accountRow{row("same", "1"), row("changed", "2"), row("new", "1")}))
	if len(told) != 2 || told[0] == told[1] || told[0] == "same" || told[1] == "same" {
		t.Fatalf("told of %q", told)
	}
}

func TestAnonymousAccountsMatchEveryName(t *testing.T) {
	table := NewUserTable(UserTableConfig{})
	if _, known := table.Lookup("u"); known || table.Readable() {
		t.Fatal("an empty table knows somebody")
	}
	table.publish(group([]accountRow{{Logins: []login{{Plugin: PluginNative, Hash: hashOf("x")}}}}))
	a, known := table.Lookup("whoever")
	if !known || len(a.native) != 1 || !a.uses(PluginNative) {
		t.Fatalf("got %+v, %v", a, known)
	}
}

func TestRefreshWithoutServer(t *testing.T) {
	table := NewUserTable(UserTableConfig{DB: func() *sql.DB { return nil }})
	if err := table.Refresh(context.Background()); err == nil {
		t.Fatal("no error")
	}
	if table.barred.Load() {
		t.Fatal("a server that is away is no missing right")
	}
}

func TestUnknownUsersAreAskedAsKnownOnesAre(t *testing.T) {
	rows := []accountRow{
		{User: "a", Logins: []login{{Plugin: PluginNative}}}, {User: "b", Logins: []login{{Plugin: "ed25519"}}},
		{User: "c", Logins: []login{{Plugin: "unix_socket"}}}, {User: "role"}, {User: "d", Logins: []login{{Plugin: PluginSHA2}}},
	}
	table := NewUserTable(UserTableConfig{})
	if _, ok := table.decoy("x"); ok {
		t.Fatal("a decoy out of nothing")
	}
	decoys := decoysOf(rows)
	table.decoys.Store(&decoys)
	seen := map[string]int{}
	for i := range 300 {
		name := fmt.Sprint("unknown", i)
		one, _ := table.decoy(name)
		other, _ := table.decoy(name)
		if one.plugins[0] != other.plugins[0] {
			t.Fatalf("%s is asked with %q and %q", name, one.plugins, other.plugins)
		}
		seen[one.plugins[0]]++
	}
	for _, plugin := range []string{PluginNative, "", PluginSHA2} {
		if seen[plugin] < 50 {
			t.Errorf("%q is asked for %d times of 300", plugin, seen[plugin])
		}
	}
	if seen[pluginSocket] > 0 {
		t.Error("a plugin is asked for that nobody could use")
	}
}
