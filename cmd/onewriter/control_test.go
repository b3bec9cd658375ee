package main

import (
	"net"
	"testing"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/topology"
)

// TestControlSurvivesGreetings meets every beginning of a greeting: each is an error, and none ends the program.
func TestControlSurvivesGreetings(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	greeting := wire.Greeting{
		Version: "9.0", ConnID: 7, Salt: [wire.SaltLen]byte([]byte("abcdefghijklmnopqrst")), Charset: 45, AuthPlugin: "caching_sha2_password",
		Capabilities: wire.ClientProtocol41 | wire.ClientSecureConnection | wire.ClientPluginAuth,
	}
	payload := greeting.AppendTo(nil)
	go func() {
		for cut := 0; ; cut++ {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write(wire.AppendPacket(nil, 0, payload[:min(cut, len(payload))]))
			_ = conn.Close()
		}
	}()
	db, err := controlConnect(conf.Cluster{}, backend.Config{})(topology.Instance{Name: "a", Address: ln.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for range len(payload) + 1 {
		if err := db.PingContext(t.Context()); err == nil {
			t.Error("connected")
		}
	}
}
