package proxy

import (
	"context"
	"errors"
	"time"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/router"
	"github.com/onewriter/onewriter/session"
)

// changeUser serves COM_CHANGE_USER: the client proves who it is now, and the server connection logs in anew.
func (s *clientSession) changeUser() error {
	cu, err := s.takeChangeUser()
	if err != nil {
		return err
	}
	w := s.where.Load()
	s.engaged = true
	client := wire.NewPacketConn(s.client.conn)
	client.SetSequence(1)
	ctx, cancel := context.WithTimeout(s.ctx(), s.cluster.config.HandshakeTimeout)
	defer cancel()
	s.alert.mute(s.clientTC, time.Now().Add(s.cluster.config.HandshakeTimeout))
	defer func() {
		s.alert.unmute(s.clientTC)
		s.late, s.writeBy = true, 0
	}()

	before := s.login
	refused := false
	s.login.User, s.login.Database, s.login.Attrs = cu.User, cu.Database, s.attributes(cu.Attrs)
	if cu.Charset != 0 {
		s.login.Charset = cu.Charset
	}
	result, err := s.prove(ctx, auth.Request{Client: client, Plugin: cu.Plugin, Switch: true, DefaultPlugin: w.conn.AuthPlugin},
		func(ctx context.Context, p backend.LoginParams) (ok []byte, err error) {
			ok, err = w.conn.ChangeUser(ctx, p)
			refused = errors.As(err, new(*wire.ServerError)) && !errors.As(err, new(*auth.UnsupportedPluginError))
			return ok, err
		})
	if err != nil && refused && s.flavor == session.MariaDB {
		s.login = before
		return s.remain(client, err)
	}
	if err != nil {
		return refuseChange(client, err)
	}
	s.engaged = false
	s.begin(result, w.conn, router.Decision{Target: w.instance, Primary: w.primary, Epoch: w.epoch})
	ok, err := s.core.Login(result.OK)
	if err != nil {
		return err
	}
	if err := client.WritePacket(ok); err != nil {
		return err
	}
	if err := s.setUp(); err != nil && !errors.As(err, new(*unreachableError)) {
		return errors.Join(errMidResponse, err) // the client has its answer
	}
	return nil
}

// takeChangeUser takes the command out of the client's buffer.
func (s *clientSession) takeChangeUser() (wire.ChangeUser, error) {
	b := s.client.buf.bytes()
	size := wire.HeaderSize + wire.PayloadLen(b)
	if size > len(b) {
		return wire.ChangeUser{}, errors.Join(errMidResponse, session.ErrProtocol) // longer than any login can be
	}
	cu, err := wire.ParseChangeUser(b[wire.HeaderSize:size], s.login.Capabilities)
	s.client.buf.consume(size)
	if err != nil {
		return cu, &clientError{erUnknownCom, "08S01", "onewriter: malformed COM_CHANGE_USER", true}
	}
	return cu, nil
}

// remain tells the client why it cannot change to that user, and goes on with the one that it is: MariaDB keeps the connection.
func (s *clientSession) remain(client *wire.PacketConn, refusal error) error {
	s.engaged = false
	s.core.ChangeRefused()
	payload, _ := asClientError(refusal)
	if err := client.WritePacket(payload); err != nil {
		return err
	}
	if err := s.setUp(); err != nil && !errors.As(err, new(*unreachableError)) {
		return errors.Join(errMidResponse, err) // the client has its answer
	}
	return nil
}

// refuseChange tells the client why it cannot change to that user, and that is the end: MySQL hangs up then.
func refuseChange(client *wire.PacketConn, err error) error {
	if errors.As(err, new(*clientError)) || errors.As(err, new(*wire.ServerError)) {
		payload, _ := asClientError(err)
		_ = client.WritePacket(payload)
	}
	return errors.Join(errMidResponse, err)
}
