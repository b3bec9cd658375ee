package integration

import (
	"os"
	"testing"

	"github.com/onewriter/onewriter/integration/suite"
)

// executable is the program under test.
var executable string

func TestMain(m *testing.M) {
	os.Exit(suite.Run(m, &executable))
}
