package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/proxyproto"
	"github.com/onewriter/onewriter/internal/wire"
)

// relayPlugin names no plugin: a client that claims it is asked to switch to the account's own, with a fresh salt.
const relayPlugin = "onewriter_relay"

// ErrNoTLS says that a server does not offer TLS although the configuration demands it.
var ErrNoTLS = errors.New("the server does not offer TLS, or somebody in between hides that it does: give it a certificate (ssl_cert, ssl_key), or write server_tls.mode: preferred if nobody can listen on the way")

// LoginParams is one login.
type LoginParams struct {
	User     string
	Secret   auth.Secret
	Database string
	Charset  uint16 // collation id, as the client sent it; a login has room for 255, ChangeUser for all
	// Capabilities are those in use with the client; the server gets them with session tracking added, and without
	// what each hop settles for itself.
	Capabilities wire.Capability
	MaxPacket    uint32
	Attrs        []byte // connection attributes, encoded, without total length
	// Origin is where the client comes from, for servers that are told (Config.ProxyProtocol).
	Origin proxyproto.Header
	// Client answers the server itself where Secret is of auth.KindNone; else it may be nil.
	Client *wire.PacketConn
}

// Conn is a logged-in connection to a server. It belongs to the session that opened it.
type Conn struct {
	net.Conn                     // TCP, *tls.Conn or *wire.Compressed; without deadline
	Addr         string          // host:port
	ID           uint32          // the server's connection id
	Version      string          // as in the greeting
	Capabilities wire.Capability // in use on this connection
	AuthPlugin   string          // the plugin that the greeting named
	Secure       bool            // TLS
}

// Greeted is a connection whose server has sent its greeting and waits for a login. It belongs to one goroutine. Call
// Login or Release.
type Greeted struct {
	Greeting wire.Greeting
	Addr     string

	dialer *Dialer
	pc     *wire.PacketConn
	since  time.Time
	used   bool
}

// Release gives back a connection whose client left before login, so that the next session that moves to the server uses it, or
// it is ended in order: servers count connections that are dropped at this stage (max_connect_errors). After Login it does nothing.
func (g *Greeted) Release() {
	if g.used {
		return
	}
	g.used = true
	// A copy, so that a caller who holds on to g can't disturb the next one.
	back := &Greeted{Greeting: g.Greeting, Addr: g.Addr, dialer: g.dialer, pc: g.pc, since: g.since}
	if !g.dialer.keep(back, sparesPerAddr) {
		g.dialer.discard([]*Greeted{back})
	}
}

// Login logs in and returns the connection with the payload of the server's OK. After an error the connection is
// closed; Login may then be called again and dials the server anew. A refusal is a *wire.ServerError whose Raw can be
// forwarded; an *auth.UnsupportedPluginError says that the secret does not do for the account's plugin.
func (g *Greeted) Login(ctx context.Context, p LoginParams) (*Conn, []byte, error) {
	if g.used || !alive(g.pc.Conn()) {
		_ = g.pc.Conn().Close()
		fresh, err := g.dialer.Dial(ctx, g.Addr)
		if err != nil {
			return nil, nil, err
		}
		g.Greeting, g.pc = fresh.Greeting, fresh.pc
	}
	g.used = true
	ctx, cancel := context.WithTimeout(ctx, g.dialer.config.Timeout)
	defer cancel()
	var conn *Conn
	var ok []byte
	err := bounded(ctx, g.pc, func() (err error) {
		conn, ok, err = g.login(ctx, p)
		return err
	})
	if err != nil {
		_ = g.pc.Conn().Close()
		return nil, nil, fmt.Errorf("login at %s: %w", g.Addr, g.explain(ctx, p.Origin, err))
	}
	return conn, ok, nil
}

func (g *Greeted) login(ctx context.Context, p LoginParams) (*Conn, []byte, error) {
	response := p.response(g.Greeting.Capabilities)
	response.Capabilities |= g.dialer.config.Compression.Flag() & g.Greeting.Capabilities
	response.ZstdLevel = wire.DefaultZstdLevel
	if err := g.introduce(p.Origin); err != nil {
		return nil, nil, err
	}
	if err := g.secure(ctx, &response); err != nil {
		return nil, nil, err
	}
	talk := conversation{server: g.pc, client: p.Client, secret: p.Secret}
	talk.ask(firstPlugin(p.Secret, g.Greeting.AuthPlugin), g.Greeting.Salt[:])
	if p.Secret.Kind() == auth.KindNone {
		response.Plugin = relayPlugin
	} else {
		var err error
		if response.Auth, err = p.Secret.Answer(talk.plugin, talk.salt, g.pc.Secure()); err != nil {
			return nil, nil, err
		}
		response.Plugin = talk.plugin
	}
	if err := g.pc.WritePacket(response.AppendTo(nil)); err != nil {
		return nil, nil, err
	}
	ok, err := talk.run(ctx)
	if err != nil {
		return nil, nil, err
	}
	return &Conn{
		Conn: compressed(g.pc.Conn(), response.Capabilities), Addr: g.Addr, ID: g.Greeting.ConnID, Version: g.Greeting.Version,
		AuthPlugin:   g.Greeting.AuthPlugin,
		Capabilities: response.Capabilities.WithoutCompression(), Secure: g.pc.Secure(),
	}, ok, nil
}

// compressed puts the compression on conn that caps ask for; the server speaks it from the packet after its OK on.
func compressed(conn net.Conn, caps wire.Capability) net.Conn {
	algorithm := caps.Compression()
	if algorithm == wire.Uncompressed {
		return conn
	}
	return wire.NewCompressed(conn, algorithm, 0, false)
}

func (p LoginParams) response(server wire.Capability) wire.HandshakeResponse {
	caps := wire.ForServer(p.Capabilities, server) &^ wire.ClientConnectWithDB
	if p.Database != "" {
		caps |= wire.ClientConnectWithDB
	}
	if len(p.Attrs) > 0 { // the proxy's own, though the client may not know of such
		caps |= server & wire.ClientConnectAttrs
	}
	return wire.HandshakeResponse{
		Capabilities: caps, MaxPacket: p.MaxPacket, Charset: byte(p.Charset), User: p.User, Database: p.Database, Attrs: p.Attrs,
	}
}

// secure upgrades the connection to TLS as the configuration says.
func (g *Greeted) secure(ctx context.Context, response *wire.HandshakeResponse) error {
	config := g.dialer.config
	if config.TLS == TLSDisabled {
		return nil
	}
	if !g.Greeting.Capabilities.Has(wire.ClientSSL) {
		if config.DemandsTLS(g.Addr) {
			return ErrNoTLS
		}
		return nil
	}
	response.Capabilities |= wire.ClientSSL
	if err := g.pc.WritePacket(wire.AppendSSLRequest(nil, *response)); err != nil {
		return err
	}
	return g.pc.UpgradeClient(ctx, config.clientTLS(g.Addr, g.dialer.sessions))
}

// firstPlugin chooses the plugin to answer the greeting with: the likeliest one that the secret can do.
func firstPlugin(s auth.Secret, greeting string) string {
	if s.Kind() == auth.KindPassword && greeting == auth.PluginSHA2 {
		return auth.PluginSHA2
	}
	return auth.PluginNative
}

// ChangeUser logs in as another user on the same connection (COM_CHANGE_USER); the connection must be idle. Results and errors
// are those of Greeted.Login. After an error the connection must be closed, except that a *wire.ServerError of MariaDB leaves it
// to the user that it had, with its schema and otherwise reset.
func (c *Conn) ChangeUser(ctx context.Context, p LoginParams) ([]byte, error) {
	pc := wire.NewPacketConn(c.Conn)
	command := wire.ChangeUser{
		User: p.User, Database: p.Database, Charset: p.Charset, Plugin: relayPlugin, Attrs: p.Attrs,
	}
	talk := conversation{server: pc, client: p.Client, secret: p.Secret}
	ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	var ok []byte
	err := bounded(ctx, pc, func() error {
		err := pc.WritePacket(command.AppendTo(nil, c.Capabilities))
		if err != nil {
			return err
		}
		ok, err = talk.run(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("change user at %s: %w", c.Addr, err)
	}
	return ok, nil
}
