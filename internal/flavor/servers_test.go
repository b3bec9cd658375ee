package flavor

import (
	"os"
	"testing"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// shared are the pairs that all tests use. Each test leaves a writable and b replicating.
var shared mysqltest.Shared

func TestMain(m *testing.M) { os.Exit(shared.Close(m.Run())) }
