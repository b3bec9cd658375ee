package clients

import (
	"os"
	"testing"

	"github.com/onewriter/onewriter/integration/clients/stand"
	"github.com/onewriter/onewriter/integration/suite"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// executable is the program under test.
var executable string

func TestMain(m *testing.M) { os.Exit(suite.Run(m, &executable)) }

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
