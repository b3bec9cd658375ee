package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/onewriter/onewriter/internal/wire"
)

const (
	errAccessDenied            = 1045
	errAccessDeniedNoPass      = 1698 // MariaDB's where no password was asked for
	stateAccessDenied          = "28000"
	sha2FastOK            byte = 3
	sha2FullAuth          byte = 4
)

// explicitUser verifies a user whose password is configured.
func (x *exchange) explicitUser(ctx context.Context, secret Secret) (Result, error) {
	plugin := x.plugin
	if plugin != PluginNative && plugin != PluginSHA2 {
		plugin = PluginNative
		if x.DefaultPlugin == PluginSHA2 {
			plugin = PluginSHA2
		}
	}
	if err := x.ask(plugin); err != nil {
		return Result{}, err
	}
	want, err := secret.Answer(plugin, x.salt, true)
	if err != nil {
		return Result{}, err
	}
	if x.empty() {
		x.reply = nil
	}
	if subtle.ConstantTimeCompare(want, x.reply) != 1 {
		return x.refuse(ctx)
	}
	result, err := x.finish(ctx, secret)
	if err != nil || plugin != PluginSHA2 || len(want) == 0 {
		return result, err
	}
	return result, x.Client.WritePacket([]byte{wire.HeaderAuthMoreData, sha2FastOK})
}

// native verifies mysql_native_password with the hashes of the account table and recovers SHA1(password).
func (x *exchange) native(ctx context.Context) (Result, error) {
	if err := x.ask(PluginNative); err != nil {
		return Result{}, err
	}
	if x.empty() {
		return x.finish(ctx, NewPassword(nil))
	}
	stage1, ok := x.matchNative()
	if !ok {
		// The password may have been changed since the last look.
		x.refresh(ctx)
		stage1, ok = x.matchNative()
	}
	if ok {
		return x.finish(ctx, NewSHA1(stage1))
	}
	switch account, _ := x.users.Lookup(x.User); {
	case x.CanSwitch && account.uses(PluginSHA2):
		return x.sha2(ctx)
	case x.CanSwitch && account.relayed():
		return x.finish(ctx, Secret{}) // it may be the password of another of the account's plugins
	}
	return x.refuse(ctx)
}

// matchNative gives SHA1(password) if one of the accounts explains the reply.
func (x *exchange) matchNative() (stage1 [sha1.Size]byte, ok bool) {
	account, _ := x.users.Lookup(x.User)
	for _, stage2 := range account.native {
		if stage1, ok = recoverNative(x.reply, x.salt, stage2); ok {
			return stage1, true
		}
	}
	return stage1, false
}

// sha2 logs in with a cached password that explains the fast reply, or asks for the password itself.
func (x *exchange) sha2(ctx context.Context) (Result, error) {
	if err := x.ask(PluginSHA2); err != nil {
		return Result{}, err
	}
	if x.empty() {
		return x.finish(ctx, NewPassword(nil))
	}
	for _, secret := range x.cache.explain(x.User, x.reply, x.salt) {
		result, err := x.finish(ctx, secret)
		if err == nil {
			return result, x.Client.WritePacket([]byte{wire.HeaderAuthMoreData, sha2FastOK})
		}
		if !isDenied(err) {
			return Result{}, err
		}
		x.cache.forget(x.User, secret) // the password was changed
		if x.once {
			return Result{}, err
		}
	}
	x.spoken = true
	if err := x.Client.WritePacket([]byte{wire.HeaderAuthMoreData, sha2FullAuth}); err != nil {
		return Result{}, err
	}
	reply, err := x.Client.ReadPacket()
	if err != nil {
		return Result{}, err
	}
	return x.password(ctx, reply, keyRequestSHA2)
}

// sha256 asks for the password itself; sha256_password has no fast reply.
func (x *exchange) sha256(ctx context.Context) (Result, error) {
	x.Switch = true // an answer to the greeting may have been only the request for a key
	if err := x.ask(PluginSHA256); err != nil {
		return Result{}, err
	}
	if x.empty() {
		return x.finish(ctx, NewPassword(nil))
	}
	return x.password(ctx, x.reply, keyRequestSHA256)
}

// cleartext asks for the password in clear text, over TLS only.
func (x *exchange) cleartext(ctx context.Context) (Result, error) {
	if !x.Client.Secure() {
		return Result{}, x.insecure()
	}
	if err := x.ask(PluginClear); err != nil {
		return Result{}, err
	}
	return x.password(ctx, x.reply, 0)
}

// password takes the password out of the client's packet: clear text over TLS, else a request for our RSA key or
// the password encrypted with it. Then the server judges, and an accepted password is kept.
func (x *exchange) password(ctx context.Context, reply []byte, keyRequest byte) (Result, error) {
	if x.Client.Secure() {
		secret := NewPassword(wire.TrimNUL(reply))
		clear(reply)
		return x.prove(ctx, secret)
	}
	if len(reply) == 1 && reply[0] == keyRequest {
		if err := x.Client.WritePacket(wire.AppendAuthMoreData(nil, x.keys.PublicPEM())); err != nil {
			return Result{}, err
		}
		var err error
		if reply, err = x.Client.ReadPacket(); err != nil {
			return Result{}, err
		}
	}
	plain, err := x.keys.decrypt(reply, x.salt)
	if err != nil {
		return x.refuse(ctx)
	}
	secret := NewPassword(plain)
	clear(plain)
	return x.prove(ctx, secret)
}

// prove logs in with a password just told, and keeps it when the server accepts it.
func (x *exchange) prove(ctx context.Context, secret Secret) (Result, error) {
	result, err := x.finish(ctx, secret)
	if err == nil && x.plugin == PluginSHA2 {
		x.cache.add(x.User, secret)
	}
	return result, err
}

func isDenied(err error) bool {
	var refused *wire.ServerError
	return errors.As(err, &refused) && (refused.Code == errAccessDenied || refused.Code == errAccessDeniedNoPass)
}

// denied words a refusal where no server can be asked to.
func (x *exchange) denied(usedPassword bool) error {
	using := "NO"
	if usedPassword {
		using = "YES"
	}
	text := fmt.Sprintf("Access denied for user '%s'@'%s' (using password: %s)", x.User, x.Source, using)
	return wire.NewServerError(errAccessDenied, stateAccessDenied, text)
}

// barred words the refusal of an account that is for the server's own machine.
func (x *exchange) barred() error {
	return x.deniedFor(errAccessDeniedNoPass, "the account is for users of the server's own machine, plugin unix_socket or auth_socket")
}

// insecure words the refusal of a client whose password would be sent for all to read.
func (x *exchange) insecure() error {
	reason := "the account's plugin sends the password as it is: connect with TLS"
	if x.Client.Secure() {
		reason = "the account's plugin sends the password as it is, and there is no TLS between onewriter and the server (server_tls.mode)"
	}
	return x.deniedFor(errAccessDenied, reason)
}

func (x *exchange) deniedFor(code uint16, reason string) error {
	text := fmt.Sprintf("Access denied for user '%s'@'%s' (onewriter: %s)", x.User, x.Source, reason)
	return wire.NewServerError(code, stateAccessDenied, text)
}

// wrongSecret is a password that nobody has.
func wrongSecret() Secret {
	var random [24]byte
	if _, err := rand.Read(random[:]); err != nil {
		panic(err) // documented never to happen
	}
	return NewPassword([]byte(hex.EncodeToString(random[:])))
}
