package clients

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/onewriter/onewriter/integration/clients/stand"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// executable is the program under test.
var executable string

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run builds the program and runs the tests; with ONEWRITER_BINARY set it tests that program.
func run(m *testing.M) int {
	if executable = os.Getenv("ONEWRITER_BINARY"); executable != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "onewriter-clients-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	executable = filepath.Join(dir, "onewriter")
	build := exec.Command("go", "build", "-ldflags", "-X=runtime.godebugDefault=schedtrace=2147483647", "-o", executable, "../../cmd/onewriter")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building onewriter: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// missing ends a test whose client is not installed: in CI it fails, elsewhere it is skipped.
func missing(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" || os.Getenv("ONEWRITER_REQUIRE_SERVERS") == "1" {
		t.Fatalf("a client is missing, run scripts/install-test-deps: %v", err)
	}
	t.Skipf("a client is missing, run scripts/install-test-deps: %v", err)
}

// serverOptions are what the clients need: packets of 20 MB and local files.
var serverOptions = map[string]string{"max-allowed-packet": "64M", "local-infile": "1"}

// start starts a stand that ends with the test.
func start(t *testing.T, f mysqltest.Flavor, o stand.Options) *stand.Stand {
	t.Helper()
	mysqltest.RequireFlavor(t, f)
	o.Flavor, o.Program = f, executable
	if o.Servers == nil {
		o.Servers = serverOptions
	}
	s, err := stand.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !s.Running() {
			t.Error("onewriter has ended")
		}
		if t.Failed() {
			t.Logf("log of onewriter:\n%s", s.Log(4000))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var flavors = []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL}
