package mysqltest

import (
	"errors"
	"os"
)

// TB is the part of testing.TB that is needed here; it keeps package testing out of the program.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// RequireFlavor ends the test when servers of flavour f cannot be started here: it fails in CI (CI=true) and under
// ONEWRITER_REQUIRE_SERVERS=1, so that nothing is skipped there silently, and is skipped elsewhere.
func RequireFlavor(t TB, f Flavor) {
	t.Helper()
	err := Installed(f)
	if err == nil {
		return
	}
	if !errors.Is(err, errUnwanted) && (os.Getenv("CI") == "true" || os.Getenv("ONEWRITER_REQUIRE_SERVERS") == "1") {
		t.Fatalf("this test needs %s: %v", f, err)
	}
	t.Skipf("this test needs %s: %v", f, err)
}
