package chaos

import (
	"flag"
	"os"
	"testing"

	"github.com/onewriter/onewriter/integration/suite"
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
	os.Exit(suite.Run(m, &executable))
}
