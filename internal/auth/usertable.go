package auth

import (
	"context"
	"crypto/sha1"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/internal/pause"
)

const (
	userTablePeriod  = 10 * time.Second
	userTableFirst   = 100 * time.Millisecond // while no server is known to look at
	userTableTimeout = 3 * time.Second
	// Looks that logins ask for leave the server alone for so many times as long as the one before took: whoever
	// makes logins fail can't keep it busy with them.
	userTableRest    = 4
	userTableRestMax = time.Second
)

// UserTableConfig is what a UserTable needs.
type UserTableConfig struct {
	// DB gives the control account's connection pool at the server to read from, the primary as a rule; nil (the
	// function or its result) when there is none at the moment.
	DB     func() *sql.DB
	Logger zerolog.Logger
}

// UserTable is a copy of the accounts of the servers: for each name the plugins, and the hashes of
// mysql_native_password. Readers never wait: they see the last copy.
type UserTable struct {
	config UserTableConfig
	hooks  atomic.Pointer[tableHooks]

	accounts atomic.Pointer[map[string]Account] // nil until the first copy; the map is never changed
	decoys   atomic.Pointer[[][]string]         // see decoy
	barred   atomic.Bool                        // the control account may not read them: sessions of mysql_native_password are relayed then, and can't move

	turn   chan struct{} // holds one token: whoever has it may look; guards looked and ended
	looked time.Time     // when the last look began
	ended  time.Time     // and when it ended
}

// Account is what is known of all accounts of one name, whatever their hosts. It is immutable.
type Account struct {
	plugins []string          // client plugins, in the table's order; "" is one that only the client can do
	native  [][sha1.Size]byte // SHA1(SHA1(password)) of each row
	print   [sha1.Size]byte   // changes whenever a row does
}

// tableHooks is what an Authenticator wants to be told.
type tableHooks struct {
	changed func(user string) // accounts of that name were changed or dropped
	tick    func()            // at each period of Run
}

// NewUserTable makes an empty table. It starts nothing.
func NewUserTable(c UserTableConfig) *UserTable {
	t := &UserTable{config: c, turn: make(chan struct{}, 1)}
	t.turn <- struct{}{}
	return t
}

// Run looks at the servers' tables at once and then every 10 seconds, until ctx is done; while there is no copy yet, it
// looks more often, so that the first login need not wait.
func (t *UserTable) Run(ctx context.Context) error {
	period := time.NewTimer(userTablePeriod)
	defer period.Stop()
	failing := false
	for {
		err := t.look(ctx, false)
		if err != nil && !failing && ctx.Err() == nil && !errors.Is(err, errNoServer) {
			t.config.Logger.Warn().Err(err).Msg("account table is not readable")
		}
		failing = err != nil
		if h := t.hooks.Load(); h != nil {
			h.tick()
		}
		next := userTablePeriod
		if errors.Is(err, errNoServer) {
			next = userTableFirst
		}
		period.Reset(next)
		select {
		case <-ctx.Done():
			return nil
		case <-period.C:
		}
	}
}

// Readable reports whether there is a copy.
func (t *UserTable) Readable() bool { return t.accounts.Load() != nil }

// Lookup gives what is known of a name, the anonymous accounts included, which match every name.
func (t *UserTable) Lookup(user string) (Account, bool) {
	accounts := t.accounts.Load()
	if accounts == nil {
		return Account{}, false
	}
	named, known := (*accounts)[user]
	anonymous, open := (*accounts)[""]
	if !open || user == "" {
		return named, known
	}
	return Account{
		plugins: slices.Concat(named.plugins, anonymous.plugins),
		native:  slices.Concat(named.native, anonymous.native),
	}, true
}

// Refresh looks at the servers' tables soon: looks take a fifth of the time at most, a second apart is enough in any
// case. Those who ask in between share a look that begins after they asked.
func (t *UserTable) Refresh(ctx context.Context) error { return t.look(ctx, true) }

// refresh is Refresh for a login: it is skipped where it can't help, and an error means to go on with what is known.
func (t *UserTable) refresh(ctx context.Context) {
	if t.config.DB == nil || t.barred.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, userTableTimeout)
	defer cancel()
	if err := t.Refresh(ctx); err != nil {
		t.config.Logger.Debug().Err(err).Msg("account table refresh failed")
	}
}

// look reads the tables, unless somebody has begun to since the call; spaced from the look before if that is wanted.
func (t *UserTable) look(ctx context.Context, spaced bool) error {
	asked := time.Now()
	select {
	case <-t.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { t.turn <- struct{}{} }()
	if t.looked.After(asked) {
		return nil
	}
	if spaced {
		rest := min(userTableRest*t.ended.Sub(t.looked), userTableRestMax)
		if err := pause.For(ctx, rest-time.Since(t.ended)); err != nil {
			return err
		}
	}
	t.looked = time.Now()
	err := t.load(ctx)
	t.ended = time.Now()
	if errors.Is(err, errNoServer) {
		t.looked, t.ended = time.Time{}, time.Time{} // nobody was asked: the next one need not wait
	}
	return err
}

func (t *UserTable) load(ctx context.Context) error {
	if t.config.DB == nil {
		return errNoServer
	}
	db := t.config.DB()
	if db == nil {
		return errNoServer
	}
	ctx, cancel := context.WithTimeout(ctx, userTableTimeout)
	defer cancel()
	if err := db.PingContext(ctx); err != nil { // connecting is not what a look costs the server
		return fmt.Errorf("reading the account table: %w", err)
	}
	t.looked = time.Now()
	rows, err := readAccounts(ctx, db)
	t.barred.Store(isBarred(err))
	if err != nil {
		return err
	}
	decoys := decoysOf(rows)
	t.decoys.Store(&decoys)
	t.publish(group(rows))
	return nil
}

// publish swaps the copy, and tells which names changed.
func (t *UserTable) publish(accounts map[string]Account) {
	old := t.accounts.Swap(&accounts)
	hooks := t.hooks.Load()
	if old == nil || hooks == nil {
		return
	}
	for user, was := range *old {
		if now, still := accounts[user]; !still || now.print != was.print {
			hooks.changed(user)
		}
	}
}

// accountRow is one account as a server stores it.
type accountRow struct {
	User, Host string
	Logins     []login
	// Relay: more than one factor, which only the client has.
	Relay bool
}

// login is one way to log in to an account.
type login struct{ Plugin, Hash string }

// clientPlugins are the client plugins for the ways to log in, in their order; "" where the exchange must be relayed.
func (r accountRow) clientPlugins() (out []string) {
	for _, l := range r.Logins {
		plugin := clientPlugin(l.Plugin)
		if r.Relay {
			plugin = ""
		}
		if !slices.Contains(out, plugin) {
			out = append(out, plugin)
		}
	}
	return out
}

func group(rows []accountRow) map[string]Account {
	accounts := make(map[string]Account, len(rows))
	for _, row := range rows {
		a := accounts[row.User]
		a.print = sha1Sum(a.print[:], []byte(row.Host))
		for _, plugin := range row.clientPlugins() {
			if !slices.Contains(a.plugins, plugin) {
				a.plugins = append(a.plugins, plugin)
			}
		}
		for _, l := range row.Logins {
			a.print = sha1Sum(a.print[:], []byte(l.Plugin), []byte{0}, []byte(l.Hash))
			if hash, ok := parseNativeHash(l.Hash); ok && clientPlugin(l.Plugin) == PluginNative && !row.Relay {
				a.native = append(a.native, hash)
			}
		}
		accounts[row.User] = a
	}
	return accounts
}

// pluginSocket stands for plugins that let in by the operating system's user: nobody comes through a proxy so.
const pluginSocket = "socket"

// clientPlugin gives the client's plugin for a server's one; "" where the exchange must be relayed.
func clientPlugin(server string) string {
	switch server {
	case "", PluginNative:
		return PluginNative
	case PluginSHA2, PluginSHA256:
		return server
	case "authentication_ldap_simple", "authentication_pam":
		return PluginClear
	case "unix_socket", "auth_socket":
		return pluginSocket
	default:
		return ""
	}
}

// parseNativeHash decodes the '*' and 40 hex digits of PASSWORD().
func parseNativeHash(text string) (hash [sha1.Size]byte, ok bool) {
	digits, star := strings.CutPrefix(text, "*")
	if !star || len(digits) != 2*sha1.Size {
		return hash, false
	}
	_, err := hex.Decode(hash[:], []byte(digits))
	return hash, err == nil
}

// uses reports whether one of the accounts takes the client plugin.
func (a Account) uses(plugin string) bool { return plugin != "" && slices.Contains(a.plugins, plugin) }

// relayed reports whether one of the accounts takes a plugin that only client and server can do.
func (a Account) relayed() bool { return slices.Contains(a.plugins, "") }

// plugin gives the client plugin to ask with when the client answered with none of the accounts': the first that the
// proxy can do itself, else "".
func (a Account) plugin() string {
	for _, p := range a.plugins {
		if p != "" && p != pluginSocket {
			return p
		}
	}
	return ""
}

// barred reports whether nobody can log in to any of the accounts through a proxy.
func (a Account) barred() bool {
	return len(a.plugins) > 0 && !slices.ContainsFunc(a.plugins, func(p string) bool { return p != pluginSocket })
}
