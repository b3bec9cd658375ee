package backend

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"

	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/wire"
)

// maxRounds bounds the packets that a server may send before it decides.
const maxRounds = 32

// The answers of caching_sha2_password to a fast reply, and the requests for the server's RSA key.
const (
	sha2FastOK       = 3
	sha2FullAuth     = 4
	keyRequestSHA2   = 2
	ed25519SaltLen   = 32
	authMoreDataHead = 1
)

// conversation is the part of a login after the client's first packet, up to OK or ERR.
type conversation struct {
	server *wire.PacketConn
	client *wire.PacketConn // answers where the secret is of KindNone
	secret auth.Secret

	plugin string // the one that the server asked with last
	salt   []byte

	unanswered *auth.UnsupportedPluginError // a question that got noise for an answer
}

// ask notes what the server asks with.
func (c *conversation) ask(plugin string, data []byte) {
	length := wire.SaltLen
	if plugin == auth.PluginEd25519 {
		length = ed25519SaltLen
	}
	c.plugin, c.salt = plugin, bytes.Clone(data[:min(len(data), length)])
}

// run answers the server until it decides, and gives the payload of its OK.
func (c *conversation) run(ctx context.Context) ([]byte, error) {
	if c.secret.Kind() == auth.KindNone {
		if c.client == nil {
			return nil, &auth.UnsupportedPluginError{Plugin: c.plugin, Reason: "only the client knows the secret"}
		}
		return relay(ctx, c.client, c.server)
	}
	for range maxRounds {
		payload, err := c.server.ReadPacket()
		if err != nil {
			return nil, err
		}
		ok, done, err := verdict(payload)
		if done {
			return ok, c.explain(err)
		}
		if err := c.answer(payload); err != nil {
			if !errors.As(err, &c.unanswered) {
				return nil, err
			}
			if err := c.server.WritePacket(noise[:]); err != nil {
				return nil, err
			}
		}
	}
	return nil, &wire.MalformedError{Message: "login", Reason: "the server does not come to an end"}
}

// noise answers what the secret can't: MariaDB then goes on to the account's next plugin, and every server ends with
// its own words for a wrong password. An empty answer would make these "using password: NO".
var noise = [wire.SaltLen]byte{}

// explain adds to a refusal that it came because the secret could not answer.
func (c *conversation) explain(refusal error) error {
	if refusal == nil || c.unanswered == nil {
		return refusal
	}
	e := *c.unanswered
	e.Refusal = refusal
	return &e
}

// verdict recognises the packets that end a login. ok is a copy.
func verdict(payload []byte) (ok []byte, done bool, err error) {
	switch {
	case len(payload) > 0 && payload[0] == wire.HeaderOK:
		return bytes.Clone(payload), true, nil
	case wire.IsErr(payload):
		refusal, err := wire.ParseErr(payload)
		if err != nil {
			return nil, true, err
		}
		return nil, true, refusal
	default:
		return nil, false, nil
	}
}

func (c *conversation) answer(payload []byte) error {
	if len(payload) == 0 {
		return &wire.MalformedError{Message: "login", Reason: "empty packet"}
	}
	switch payload[0] {
	case wire.HeaderAuthSwitch:
		request, err := wire.ParseAuthSwitch(payload)
		if err != nil {
			return err
		}
		c.ask(request.Plugin, request.Data)
		reply, err := c.secret.Answer(c.plugin, c.salt, c.server.Secure())
		if err != nil {
			return err
		}
		defer clear(reply) // it can be the password
		return c.server.WritePacket(reply)
	case wire.HeaderAuthMoreData:
		return c.more(payload[authMoreDataHead:])
	default:
		return &auth.UnsupportedPluginError{Plugin: c.plugin, Reason: "the server wants more than one password"}
	}
}

// more continues the exchanges of caching_sha2_password and sha256_password.
func (c *conversation) more(data []byte) error {
	switch {
	case c.plugin == auth.PluginSHA2 && len(data) == 1 && data[0] == sha2FastOK:
		return nil
	case c.plugin == auth.PluginSHA2 && len(data) == 1 && data[0] == sha2FullAuth:
		if !c.server.Secure() {
			return c.server.WritePacket([]byte{keyRequestSHA2})
		}
		password, err := c.secret.Cleartext()
		if err != nil {
			return err
		}
		defer clear(password)
		return c.server.WritePacket(password)
	case c.plugin == auth.PluginSHA2 || c.plugin == auth.PluginSHA256:
		if block, _ := pem.Decode(data); block == nil {
			return &wire.MalformedError{Message: "login", Reason: "no RSA key where one was asked for"}
		}
		encrypted, err := c.secret.Encrypted(c.salt, data)
		if err != nil {
			return err
		}
		return c.server.WritePacket(encrypted)
	default:
		return &auth.UnsupportedPluginError{Plugin: c.plugin, Reason: "it asks for more than one answer"}
	}
}
