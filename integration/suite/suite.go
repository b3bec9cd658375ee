// Package suite builds onewriter for the suites, which run it as users do.
package suite

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Run builds the program and runs the tests, to which executable then gives its path. With ONEWRITER_BINARY set they test
// that program. The result is the exit code.
func Run(m *testing.M, executable *string) int {
	if *executable = os.Getenv("ONEWRITER_BINARY"); *executable != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "onewriter-build-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	*executable = filepath.Join(dir, "onewriter")
	// The link flag is that of the Makefile.
	build := exec.Command("go", "build", "-ldflags", "-X=runtime.godebugDefault=schedtrace=2147483647", "-o", *executable,
		"github.com/onewriter/onewriter/cmd/onewriter")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building onewriter: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// given holds the addresses that FreeAddr has given out.
var given sync.Map

// FreeAddr gives a loopback address once. Its port is neither one that Linux takes for outgoing connections, which could
// have it when the program is started again, nor one of the test servers'.
func FreeAddr() (string, error) {
	var err error
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(4_900))
		if _, taken := given.LoadOrStore(addr, true); taken {
			continue
		}
		var l net.Listener
		if l, err = net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", fmt.Errorf("no free port: %w", err)
}

// Need ends a test whose client is not installed, which err tells: in CI it fails, elsewhere it is skipped.
func Need(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" || os.Getenv("ONEWRITER_REQUIRE_SERVERS") == "1" {
		t.Fatalf("a client is missing, run scripts/install-test-deps: %v", err)
	}
	t.Skipf("a client is missing, run scripts/install-test-deps: %v", err)
}
