package backend_test

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/wire"
)

// frontend is the least that a proxy needs around a login: it greets, authenticates, and then copies bytes.
type frontend struct {
	t        *testing.T
	listener net.Listener
	server   string
	auth     *auth.Authenticator
	users    *auth.UserTable
	cache    *auth.Cache
	dialer   *backend.Dialer
	tls      *tls.Config
	change   bool
	wg       sync.WaitGroup

	mu     sync.Mutex
	logins []login
}

// login is what became of one.
type login struct {
	user   string
	kind   auth.Kind
	secret auth.Secret
	server *backend.Conn
	err    error
}

type frontendOptions struct {
	config  *tls.Config // offered when tls is false; nil offers none
	control *sql.DB     // reads the account table; nil: nobody can
	tls     bool        // offer TLS to clients
	// changeUser makes the frontend expect two COM_CHANGE_USER after the login, and nothing else.
	changeUser bool
	backend    backend.Config
	explicit   map[string]auth.Secret
}

var testKeys = sync.OnceValues(auth.NewKeys)

func newFrontend(t *testing.T, server string, o frontendOptions) *frontend {
	t.Helper()
	keys, err := testKeys()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &frontend{t: t, server: server, cache: auth.NewCache(), dialer: backend.New(o.backend), change: o.changeUser}
	var source func() *sql.DB
	if o.control != nil {
		source = func() *sql.DB { return o.control }
	}
	f.users = auth.NewUserTable(auth.UserTableConfig{DB: source, Logger: zerolog.Nop()})
	f.auth, err = auth.New(auth.Config{Users: f.users, Cache: f.cache, Keys: keys, Explicit: o.explicit, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if f.tls = o.config; o.tls {
		f.tls = keys.ServerTLS()
	}
	if f.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	f.wg.Add(1)
	go f.accept(ctx)
	t.Cleanup(func() {
		_ = f.listener.Close()
		cancel()
		f.wg.Wait()
		f.dialer.Close()
	})
	return f
}

func (f *frontend) addr() string { return f.listener.Addr().String() }

func (f *frontend) accept(ctx context.Context) {
	defer f.wg.Done()
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.wg.Add(1)
		go func() {
			defer f.wg.Done()
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer stop()
			f.serve(ctx, conn)
		}()
	}
}

func (f *frontend) serve(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client := wire.NewPacketConn(conn)
	_ = client.SetDeadline(time.Now().Add(10 * time.Second))
	server, l := f.login(ctx, client)
	f.mu.Lock()
	f.logins = append(f.logins, l)
	f.mu.Unlock()
	if server == nil {
		return
	}
	defer server.Close()
	_ = client.SetDeadline(time.Time{})
	if f.change {
		for range 2 {
			if err := f.changeUser(ctx, client, server, wire.ClientSecureConnection|wire.ClientPluginAuth|wire.ClientConnectAttrs); err != nil {
				f.t.Error(err)
			}
		}
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(client.Conn(), server)
		_ = client.Conn().Close()
	}()
	_, _ = io.Copy(server, client.Conn())
	_ = server.Close()
	<-done
}

func (f *frontend) login(ctx context.Context, client *wire.PacketConn) (*backend.Conn, login) {
	greeted, err := f.dialer.Greet(ctx, f.server)
	if err != nil {
		return nil, login{err: err}
	}
	defer greeted.Release()
	greeting := greeted.Greeting
	greeting.Salt = auth.NewSalt()
	// No session tracking: this frontend does not strip it.
	greeting.Capabilities = wire.Offerable(greeted.Greeting.Capabilities)
	response, err := auth.Greet(ctx, client, greeting, f.tls)
	if err != nil {
		return nil, login{err: err}
	}
	var server *backend.Conn
	result, err := f.auth.Login(ctx, auth.Request{
		Client: client, User: response.User, Auth: response.Auth, Plugin: response.Plugin, Salt: greeting.Salt,
		CanSwitch: response.Capabilities.Has(wire.ClientPluginAuth), DefaultPlugin: greeting.AuthPlugin, Source: "127.0.0.1",
		Backend: func(ctx context.Context, secret auth.Secret) (ok []byte, err error) {
			server, ok, err = greeted.Login(ctx, backend.LoginParams{
				User: response.User, Secret: secret, Database: response.Database, Charset: uint16(response.Charset),
				Capabilities: response.Capabilities &^ wire.ClientSessionTrack, MaxPacket: response.MaxPacket,
				Attrs: response.Attrs, Client: client,
			})
			return ok, err
		},
	})
	l := login{user: response.User, kind: result.Secret.Kind(), secret: result.Secret, server: server, err: err}
	if err != nil {
		var refusal *wire.ServerError
		if errors.As(err, &refusal) {
			_ = client.WritePacket(refusal.Raw)
		}
		return nil, l
	}
	// Without a change of the session's state in it, the OK of a tracked login is that of an untracked one.
	if err := client.WritePacket(plainOK(result.OK)); err != nil {
		_ = server.Close()
		return nil, l
	}
	return server, l
}

// plainOK keeps counts, status and warnings of an OK packet.
func plainOK(ok []byte) []byte {
	parsed, err := wire.ParseOK(ok)
	if err != nil {
		return ok
	}
	status := parsed.Status &^ wire.StatusSessionStateChanged
	return []byte{0, 0, 0, byte(status), byte(status >> 8), byte(parsed.Warnings), byte(parsed.Warnings >> 8)}
}

func (f *frontend) last() login {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.logins) == 0 {
		f.t.Fatal("no login was seen")
	}
	return f.logins[len(f.logins)-1]
}

func (f *frontend) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.logins)
}
