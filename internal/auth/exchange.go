package auth

import (
	"context"
	"errors"

	"github.com/onewriter/onewriter/internal/wire"
)

// BackendLogin logs in to the server as the client's user with a secret, and gives the payload of the server's OK.
// A refusal is a *wire.ServerError. With a secret of KindNone it must relay the exchange between the server and the
// client (backend.LoginParams.Client). It is called again with another secret after a refusal.
type BackendLogin func(ctx context.Context, secret Secret) (ok []byte, err error)

// Request is one login of a client.
type Request struct {
	Client *wire.PacketConn
	User   string
	// Auth and Plugin are the client's first answer, to Salt. For COM_CHANGE_USER leave Auth nil, and set Switch; Salt is
	// that of the connection's greeting.
	Auth   []byte
	Plugin string
	Salt   [wire.SaltLen]byte
	// CanSwitch tells that the client has wire.ClientPluginAuth; one without speaks mysql_native_password only.
	CanSwitch bool
	// Switch makes the exchange start with a switch request whatever the client sent. Backend is then called once at
	// most: MySQL hangs up after a failed COM_CHANGE_USER, and MariaDB counts them.
	Switch bool
	// DefaultPlugin is the plugin that the greeting named: what an unknown user is asked with.
	DefaultPlugin string
	// Source is the client's address without port; failures are limited by it.
	Source string
	// Backend judges.
	Backend BackendLogin
}

// Result is a login that the server accepted.
type Result struct {
	Secret Secret
	OK     []byte // payload of the server's OK packet, still to be sent to the client

	plugin string // the last one that the client has answered
	salt   []byte // and the salt it answered
}

// exchange is one login under way. It belongs to one goroutine.
type exchange struct {
	*Authenticator
	Request

	salt      []byte // of the last thing the client was asked
	reply     []byte // the client's answer to it
	plugin    string // the plugin that reply is for
	refreshed bool   // the account table was looked at for this login
	once      bool   // Backend can't be called again after a refusal
	spoken    bool   // something was sent to the client: its exchange can't be handed to the server any more
}

// Login runs the exchange with the client and logs in to the server. The packets in between are sent here; the final
// OK or ERR is left to the caller. Errors: a *wire.ServerError to be forwarded (its Raw); otherwise the client's
// connection failed, or it broke the protocol (*wire.MalformedError...), or what Backend returned.
func (a *Authenticator) Login(ctx context.Context, r Request) (Result, error) {
	if err := a.limiter.admit(ctx, r.Source); err != nil {
		return Result{}, err
	}
	x := &exchange{Authenticator: a, Request: r, salt: r.Salt[:], reply: r.Auth, plugin: r.Plugin, once: r.Switch}
	if x.plugin == "" {
		x.plugin = PluginNative
	}
	result, err := x.run(ctx)
	r.Client.Wipe()
	clear(x.reply)
	result.plugin, result.salt = x.plugin, x.salt
	if !isDenied(err) {
		return result, err
	}
	// Every refused login takes a look, not only those of unknown users: the time it takes must not tell them apart.
	x.refresh(ctx)
	if e := a.limiter.failed(ctx, r.Source); e != nil {
		return Result{}, e
	}
	return result, err
}

func (x *exchange) run(ctx context.Context) (Result, error) {
	if password, ok := x.explicit[x.User]; ok {
		return x.explicitUser(ctx, password)
	}
	account, known := x.users.Lookup(x.User)
	if !known { // it may have been created since the last look
		x.refresh(ctx)
		account, known = x.users.Lookup(x.User)
	}
	if !known {
		account, known = x.users.decoy(x.User)
	}
	if account.barred() { // unless that was changed since the last look
		x.refresh(ctx)
		if account, known = x.users.Lookup(x.User); account.barred() {
			return Result{}, x.barred()
		}
	}
	plugin := x.choose(account, known)
	switch plugin {
	case PluginNative:
		if !x.users.Readable() {
			return x.finish(ctx, Secret{})
		}
		return x.native(ctx)
	case PluginSHA2:
		return x.sha2(ctx)
	case PluginSHA256:
		return x.sha256(ctx)
	case PluginClear:
		return x.cleartext(ctx)
	default:
		return x.finish(ctx, Secret{})
	}
}

// refresh looks at the account table anew, once per login.
func (x *exchange) refresh(ctx context.Context) {
	if !x.refreshed {
		x.refreshed = true
		x.users.refresh(ctx)
	}
}

// choose gives the client plugin to ask with; "" means relay.
func (x *exchange) choose(account Account, known bool) string {
	if !x.CanSwitch {
		return PluginNative
	}
	if !known {
		if !x.users.Readable() || x.DefaultPlugin == "" {
			return x.plugin
		}
		return x.DefaultPlugin
	}
	if account.uses(x.plugin) {
		return x.plugin
	}
	return account.plugin()
}

// finish logs in with the secret. If the server wants something that the secret can't give, the client is let speak
// for itself, as long as it has not spoken with us.
func (x *exchange) finish(ctx context.Context, s Secret) (Result, error) {
	ok, err := x.Backend(ctx, s)
	if unsupported := (*UnsupportedPluginError)(nil); errors.As(err, &unsupported) {
		if x.spoken || !x.CanSwitch || !s.CanMove() {
			return Result{}, x.refusal(unsupported)
		}
		x.spoken, s = true, Secret{}
		if ok, err = x.Backend(ctx, s); errors.As(err, &unsupported) {
			return Result{}, x.refusal(unsupported)
		}
	}
	if err != nil {
		return Result{}, err
	}
	return Result{Secret: s, OK: ok}, nil
}

// refusal is what the client is told of a plugin that can't be served: the server's words if it has some.
func (x *exchange) refusal(e *UnsupportedPluginError) error {
	if e.Insecure && e.Refusal == nil {
		return x.insecure()
	}
	if refused := (*wire.ServerError)(nil); errors.As(e.Refusal, &refused) {
		return refused
	}
	return x.denied(true)
}

// refuse logs in with a secret that can't be right, so that the server counts the failure and words the refusal.
func (x *exchange) refuse(ctx context.Context) (Result, error) {
	return x.finish(ctx, wrongSecret())
}

// ask makes sure that reply is the client's answer to plugin: it switches when the client answered for another one. A
// connection has one salt for mysql_native_password, as with servers: in a change of user MariaDB Connector/C 3.3 answers the
// one that it knows, whatever the switch request says.
func (x *exchange) ask(plugin string) error {
	if x.plugin == plugin && !x.Switch {
		return nil
	}
	salt := NewSalt()
	if plugin == PluginNative {
		salt = x.Salt
	}
	data := append(salt[:], 0)
	if plugin == PluginClear {
		data = nil
	}
	x.salt, x.plugin, x.Switch, x.spoken = salt[:], plugin, false, true
	request := wire.AuthSwitch{Plugin: plugin, Data: data}
	if err := x.Client.WritePacket(request.AppendTo(nil)); err != nil {
		return err
	}
	reply, err := x.Client.ReadPacket()
	x.reply = append([]byte(nil), reply...)
	clear(reply) // it can be a password
	return err
}

// empty reports whether the client answered with no password.
func (x *exchange) empty() bool {
	return len(x.reply) == 0 || len(x.reply) == 1 && x.reply[0] == 0
}
