package backend

import (
	"bytes"
	"context"
	"time"

	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/tandem"
	"github.com/onewriter/onewriter/internal/wire"
)

// relay lets client and server authenticate each other's way until the server decides; its OK or ERR is not sent to
// the client. Afterwards the client's read deadline is that of ctx.
func relay(ctx context.Context, client, server *wire.PacketConn) ([]byte, error) {
	clientGone := make(chan error, 1)
	wait := tandem.Go(func() {
		defer func() { _ = server.Conn().SetReadDeadline(time.Unix(1, 0)) }() // wakes the loop below
		clientGone <- copyUp(client, server)
	})
	ok, decided, err := copyDown(client, server)
	var cause error
	if !decided {
		select {
		case cause = <-clientGone:
		default:
		}
	}
	// The client has nothing to say now: waking its reader loses no byte.
	_ = client.Conn().SetReadDeadline(time.Unix(1, 0))
	wait()
	deadline, _ := ctx.Deadline()
	if e := client.Conn().SetReadDeadline(deadline); e != nil && err == nil {
		return nil, e
	}
	if !decided {
		finish(server)
	}
	if cause != nil && ctx.Err() == nil {
		return nil, cause
	}
	return ok, err
}

// copyUp forwards the client's packets until its connection fails or is woken.
func copyUp(client, server *wire.PacketConn) error {
	for range maxRounds {
		payload, err := client.ReadPacket()
		if err != nil {
			return err
		}
		err = server.WritePacket(payload)
		clear(payload) // it can be a password
		if err != nil {
			return err
		}
	}
	return &wire.MalformedError{Message: "login", Reason: "the client does not come to an end"}
}

// copyDown forwards the server's packets until it decides.
func copyDown(client, server *wire.PacketConn) (ok []byte, decided bool, err error) {
	for range maxRounds {
		payload, err := server.ReadPacket()
		if err != nil {
			return nil, false, err
		}
		ok, done, err := verdict(payload)
		if done {
			return ok, true, err
		}
		if err := sendable(client, server, payload); err != nil {
			return nil, false, err
		}
		if err := client.WritePacket(payload); err != nil {
			return nil, false, err
		}
	}
	return nil, false, &wire.MalformedError{Message: "login", Reason: "the server does not come to an end"}
}

// sendable refuses what would make a client send its password in clear text where others could read it. A client that
// speaks TLS does so for more plugins than others: it cannot know that the rest of the way is not encrypted.
func sendable(client, server *wire.PacketConn, payload []byte) error {
	if client.Secure() && server.Secure() {
		return nil
	}
	plugin, err := asksWith(payload)
	if err != nil {
		return err
	}
	switch plugin {
	case auth.PluginClear:
	case auth.PluginSHA2, auth.PluginSHA256, auth.PluginDialog:
		if !client.Secure() {
			return nil // it does what it would do at the server itself
		}
	default:
		return nil
	}
	return &auth.UnsupportedPluginError{Plugin: plugin, Reason: "one of the connections is not encrypted", Insecure: true}
}

// asksWith gives the plugin by which a packet of the server makes a client send its password; "" where it does not.
func asksWith(payload []byte) (string, error) {
	if bytes.Equal(payload, []byte{wire.HeaderAuthMoreData, sha2FullAuth}) {
		return auth.PluginSHA2, nil
	}
	if len(payload) < 2 {
		return "", nil
	}
	switch payload[0] {
	case wire.HeaderAuthSwitch:
		request, err := wire.ParseAuthSwitch(payload)
		if request.Plugin == auth.PluginSHA2 { // it begins with a scramble
			return "", err
		}
		return request.Plugin, err
	case wire.HeaderAuthNextFactor: // or a question of MariaDB's dialog, which names no plugin
		name, _, _ := bytes.Cut(payload[1:], []byte{0})
		return string(name), nil
	}
	return "", nil
}
