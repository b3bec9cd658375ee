package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/router"
	"github.com/onewriter/onewriter/session"
)

// run is the life of a session. Its own frame is kept small: the runtime halves the stack of an idle session only when
// a quarter of it, or less, is in use.
func (s *clientSession) run() {
	s.enterPhase(phaseLogin)
	err := s.welcome()
	if err != nil {
		s.cluster.metrics.loginFailed.Inc()
		s.logEnd(err, "login failed")
	} else if err = s.loop(); err != nil {
		s.logEnd(err, "session ended")
	}
	s.watch(0)
	if s.core != nil {
		s.dropServer()
	}
	s.cluster.ids.release(s) // before the next client gets the connection
	s.berth.leave()
	s.uncountUser()
	if s.client.conn != nil {
		s.client.close()
	}
	_ = s.clientTC.Close()
}

func (s *clientSession) logEnd(err error, what string) {
	s.cluster.log.Debug().Uint64("session", s.id).Str("client", s.address()).Err(err).Msg(what)
}

// welcome greets the client, logs it in at its server and makes the session ready for commands. All of it has to be
// done within the handshake timeout, the time spent at the gate apart.
func (s *clientSession) welcome() error {
	client := wire.NewPacketConn(s.clientTC)
	err := s.learnOrigin()
	if err == nil {
		err = s.firstServer()
	}
	if err != nil {
		_ = s.clientTC.SetWriteDeadline(time.Now().Add(time.Second))
		payload, _ := asClientError(err)
		s.cluster.metrics.told(err)
		_ = client.WritePacket(withoutState(payload))
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx(), s.cluster.config.HandshakeTimeout)
	defer cancel()
	s.alert.mute(s.clientTC, time.Now().Add(s.cluster.config.HandshakeTimeout))

	s.salt = auth.NewSalt()
	shown := s.certificate()
	response, err := auth.Greet(ctx, client, s.greeting(), s.listener.config.TLS)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			s.cluster.metrics.timeout(timeoutLogin)
		}
		return fmt.Errorf("greeting the client: %w", s.unwanted(client, err))
	}
	if s.listener.config.RequireTLS && !client.Secure() {
		return s.refuseLogin(client, errInsecure(s.listener.config.Address))
	}
	if err := s.authenticate(ctx, client, response, shown); err != nil {
		return s.refuseLogin(client, err)
	}
	s.alert.unmute(s.clientTC)
	s.writeBy = 0
	s.client.open(s.compressed(client.Conn(), response))
	if err := s.setUp(); err != nil && !errors.As(err, new(*unreachableError)) {
		return err // one that was merely lost is replaced when the first command comes
	}
	s.endUnit()
	s.noteHold()
	s.cluster.metrics.login.Observe(time.Since(s.since).Seconds())
	return s.nudged() // the table may have changed during the login
}

// withoutState takes the SQLSTATE out of an ERR packet: before the handshake there is none.
func withoutState(payload []byte) []byte {
	if len(payload) > 9 && payload[3] == '#' {
		return append(payload[:3:3], payload[9:]...)
	}
	return payload
}

// firstServer waits for a server that the session belongs on and makes a berth there.
func (s *clientSession) firstServer() error {
	deadline := time.Now().Add(s.cluster.config.HoldTimeout)
	for {
		d, err := s.target(s.ctx(), deadline)
		if err != nil {
			return err
		}
		if err = s.board(s.ctx(), d); err == nil {
			return nil
		}
		if errors.As(err, new(*wire.ServerError)) || errors.As(err, new(*clientError)) {
			return err
		}
		if time.Now().After(deadline) {
			return errNoLogin(d.Target.Name, err)
		}
		s.waitForChange(s.ctx(), deadline)
	}
}

// target waits for a server that the session belongs on.
func (s *clientSession) target(ctx context.Context, deadline time.Time) (router.Decision, error) {
	for {
		if s.cluster.stopping.Load() {
			return router.Decision{}, errShutdown()
		}
		d := s.decide()
		switch {
		case (d.Primary || !d.Target.Known()) && s.cluster.gate.Holding():
			if err := s.waitAtGate(ctx, time.Until(deadline)); err != nil {
				return d, err
			}
			continue
		case d.Target.Known():
			return d, nil
		case time.Now().After(deadline):
			return d, errHeld(d.Reason)
		}
		s.waitForChange(ctx, deadline)
	}
}

// greeting is the server's own, with our salt and what we can relay. Without a connection there it is the server's last
// one with an id of ours.
func (s *clientSession) greeting() wire.Greeting {
	var out wire.Greeting
	if g := s.berth.greeted; g != nil {
		out = g.Greeting
	} else {
		out, _ = s.cluster.lastGreeting(s.decision.Target.Name)
		out.ConnID = 0
	}
	out.Salt = s.salt
	out.ConnID = s.cluster.ids.claim(s, out.ConnID)
	out.Capabilities = s.cluster.offerable()
	if !s.listener.config.NoCompression {
		out.Capabilities |= out.Capabilities.CompressionOffer()
	}
	s.plugin = out.AuthPlugin
	return out
}

// authenticate runs the exchange with the client; the server judges.
func (s *clientSession) authenticate(ctx context.Context, client *wire.PacketConn, r wire.HandshakeResponse, shown *tls.Certificate) error {
	s.login = backend.LoginParams{
		User: r.User, Database: r.Database, Charset: uint16(r.Charset), Capabilities: r.Capabilities.WithoutCompression(),
		MaxPacket: r.MaxPacket, Attrs: s.attributes(r.Attrs), Origin: s.origin.Load().Header,
	}
	var conn *backend.Conn
	result, err := s.prove(ctx, auth.Request{Client: client, Auth: r.Auth, Plugin: r.Plugin, DefaultPlugin: s.plugin},
		func(ctx context.Context, p backend.LoginParams) (ok []byte, err error) {
			conn, ok, err = s.logIn(ctx, p)
			return ok, err
		})
	if err != nil {
		if conn != nil {
			_ = conn.Close()
		}
		return err
	}
	s.begin(result, conn, s.decision) // nobody decides during a login but the login
	s.berth.settle()
	ok, err := s.core.Login(result.OK)
	if err != nil {
		return err
	}
	if client.Secure() {
		ok = s.vouch(ok, result, shown, conn.Version)
	}
	return client.WritePacket(ok)
}

// prove runs the exchange in which the client proves to be the user of s.login; judge lets the server have the last word. It is
// for a login and for a change of user: r is what these differ in.
func (s *clientSession) prove(ctx context.Context, r auth.Request, judge func(context.Context, backend.LoginParams) ([]byte, error)) (auth.Result, error) {
	r.User, r.Salt, r.Source = s.login.User, s.salt, s.source()
	r.CanSwitch = s.login.Capabilities.Has(wire.ClientPluginAuth)
	r.Backend = func(ctx context.Context, secret auth.Secret) ([]byte, error) {
		p := s.login
		p.Secret, p.Client = secret, r.Client
		return judge(ctx, p)
	}
	result, err := s.cluster.config.Authenticator.Login(ctx, r)
	if err == nil {
		err = s.countUser(r.User)
	}
	return result, err
}

// begin makes the protocol machine of a session that has logged in.
func (s *clientSession) begin(result auth.Result, conn *backend.Conn, d router.Decision) {
	s.secret = result.Secret
	s.login.Secret, s.login.Client = result.Secret, nil
	user := s.login.User
	s.account.Store(&user)
	s.flavor = flavorOf(conn.Version)
	before := s.core
	s.core = session.New(session.Config{
		Flavor: s.flavor, Client: s.login.Capabilities, Server: conn.Capabilities,
		Schema: s.login.Database, Collation: s.login.Charset, Relayed: !result.Secret.CanMove(),
		ReleasesLocks: releasesLocks(conn.Version),
	})
	if before != nil {
		s.core.Succeed(before)
	}
	s.shape = conn.Capabilities & shaping
	s.attach(conn, d)
}

// shaping are the capabilities that decide how answers are read, or that the client was promised.
const shaping = wire.ClientDeprecateEOF | wire.ClientOptionalMetadata | wire.ClientSessionTrack | wire.ClientQueryAttributes |
	wire.MariaDBCacheMetadata | wire.MariaDBProgress | wire.MariaDBExtendedMetadata | wire.MariaDBStmtBulk | wire.MariaDBBulkUnitResults

// setUp restores the session's state on a server connection that was just logged in.
func (s *clientSession) setUp() error {
	_ = s.server.conn.SetDeadline(time.Now().Add(s.cluster.config.ConnectTimeout))
	if err := s.runPrelude(s.core.Attach()); err != nil {
		return err
	}
	_ = s.server.conn.SetDeadline(time.Time{})
	return nil
}

// attach makes conn the session's server connection.
func (s *clientSession) attach(conn *backend.Conn, d router.Decision) {
	s.engaged = false
	s.server.open(conn.Conn)
	s.attachMeter(d.Target.Name)
	s.answered()
	s.cluster.ids.arrived(s, conn.ID)
	s.where.Store(&placement{instance: d.Target, epoch: d.Epoch, primary: d.Primary, conn: conn})
}

func flavorOf(version string) session.Flavor {
	if strings.Contains(version, "MariaDB") {
		return session.MariaDB
	}
	return session.MySQL
}

// refuseLogin tells the client why it cannot log in, where that is not a failure of its own connection.
func (s *clientSession) refuseLogin(client *wire.PacketConn, err error) error {
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		s.cluster.metrics.timeout(timeoutLogin)
		err = &clientError{erNewAborting, "08S01", "onewriter: login timed out", true}
	}
	_ = s.clientTC.SetDeadline(time.Now().Add(time.Second))
	payload, _ := asClientError(err)
	s.cluster.metrics.told(err)
	_ = client.WritePacket(payload)
	return err
}
