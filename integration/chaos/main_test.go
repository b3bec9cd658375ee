package chaos

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var (
	seedFlag    = flag.Uint64("chaos.seed", 1, "seed of the schedules")
	minutesFlag = flag.Float64("chaos.minutes", 0, "how long each schedule runs; 0: the short set")
	flavorFlag  = flag.String("chaos.flavor", "", "mariadb or mysql; empty: both")
	setupFlag   = flag.String("chaos.setup", "", "the name of one set-up; empty: all")
	faultFlag   = flag.String("chaos.fault", "", "only faults whose names match this expression")
)

// executable is the program under test.
var executable string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

// run builds the program and runs the tests; with ONEWRITER_BINARY set it tests that program.
func run(m *testing.M) int {
	if executable = os.Getenv("ONEWRITER_BINARY"); executable != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "onewriter-chaos-")
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
