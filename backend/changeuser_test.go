package backend_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/wire"
)

// changeUser serves one COM_CHANGE_USER of a client that is logged in.
func (f *frontend) changeUser(ctx context.Context, client *wire.PacketConn, server *backend.Conn, caps wire.Capability) error {
	client.SetSequence(0)
	payload, err := client.ReadPacket()
	if err != nil {
		return err
	}
	command, err := wire.ParseChangeUser(payload, caps)
	if err != nil {
		return err
	}
	result, err := f.auth.Login(ctx, auth.Request{
		Client: client, User: command.User, Plugin: command.Plugin, Switch: true, CanSwitch: true, Source: "127.0.0.1",
		DefaultPlugin: server.AuthPlugin,
		Backend: func(ctx context.Context, secret auth.Secret) ([]byte, error) {
			return server.ChangeUser(ctx, backend.LoginParams{
				User: command.User, Secret: secret, Database: command.Database, Charset: command.Charset, Client: client,
			})
		},
	})
	var refusal *wire.ServerError
	if errors.As(err, &refusal) {
		return client.WritePacket(refusal.Raw)
	}
	if err != nil {
		return err
	}
	return client.WritePacket(plainOK(result.OK))
}

func TestChangeUserOfAClient(t *testing.T) {
	for name, root := range map[string]testServer{"mariadb": mariaDB(t), "mysql": mySQL(t)} {
		mustExec(t, root.db, "DROP USER IF EXISTS c1@'%', c2@'%'", "CREATE USER c1@'%' IDENTIFIED BY 'one'", "CREATE USER c2@'%' IDENTIFIED BY 'two'")
		if name == "mariadb" {
			mustExec(t, root.db, "CREATE OR REPLACE USER c2@'%' IDENTIFIED VIA ed25519 USING PASSWORD('two')")
		}
		for _, tls := range []bool{false, true} {
			t.Run(name+"/"+tlsMode(tls), func(t *testing.T) {
				f := newFrontend(t, root.addr, frontendOptions{control: root.db, tls: tls, changeUser: true})
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				g, err := backend.New(backend.Config{}).Greet(ctx, f.addr())
				if err != nil {
					t.Fatal(err)
				}
				caps := wire.ClientProtocol41 | wire.ClientDeprecateEOF | wire.ClientPluginAuth | wire.ClientConnectAttrs
				conn, _, err := g.Login(ctx, backend.LoginParams{User: "c1", Secret: auth.NewPassword([]byte("one")), Capabilities: caps, Charset: 45})
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := conn.ChangeUser(ctx, backend.LoginParams{User: "c2", Secret: auth.NewPassword([]byte("two")), Charset: 45}); err != nil {
					t.Fatal(err)
				}
				_, err = conn.ChangeUser(ctx, backend.LoginParams{User: "c2", Secret: auth.NewPassword([]byte("wrong")), Charset: 45})
				var refused *wire.ServerError
				if !errors.As(err, &refused) || refused.Code != 1045 {
					t.Fatalf("got %v", err)
				}
			})
		}
	}
}
