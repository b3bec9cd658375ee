package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/onewriter/onewriter"

// anything in a row allows every package of the project.
const anything = "*"

// allowed holds, for each package, the packages of this project that its program code may import. The order is that
// of the layers, from top to bottom; a package imports downward only.
var allowed = map[string][]string{
	// The program joins all others.
	"cmd/onewriter": {anything},

	// Values for the layers below. It knows none of them: cmd/onewriter carries the values over.
	"conf": {},

	// The demo starts real servers and this program before them; and the scripts that the program runs.
	"internal/demo": {"admin/api", "admin/client", "internal/child", "internal/flavor", "internal/mysqltest", "scripts"},
	"scripts":       {},

	// Control and data do not know each other. They share topology, and cmd/onewriter joins their interfaces.
	"proxy":  {"backend", "router", "session", "topology", "internal/auth", "internal/pause", "internal/proxyproto", "internal/sockopt", "internal/sqlclass", "internal/tandem", "internal/wire"},
	"health": {"topology", "internal/flavor", "internal/gtid"},
	"failover": {
		"coord", "failover/detect", "failover/fence", "failover/rejoin", "failover/rewind", "topology", "internal/binlog",
		"internal/flavor", "internal/gtid", "internal/pause",
	},
	"failover/detect":   {"topology", "internal/gtid"},
	"failover/fence":    {"topology", "internal/flavor", "internal/pause"},
	"failover/rejoin":   {"coord", "failover/fence", "failover/rewind", "topology", "internal/binlog", "internal/flavor", "internal/gtid", "internal/pause"},
	"failover/rewind":   {"topology", "internal/binlog", "internal/flavor", "internal/gtid", "internal/pause"},
	"failover/watchdog": {"topology", "internal/flavor"},
	"doctor":            {"topology", "internal/flavor", "internal/gtid", "internal/pause"},
	"coord/local":       {"coord", "topology"},
	"admin":             {"admin/api"},
	"admin/client":      {"admin/api"},
	"admin/api":         {},

	"router":  {"topology"},
	"backend": {"topology", "internal/auth", "internal/proxyproto", "internal/sockopt", "internal/tandem", "internal/wire"},
	"session": {"topology", "internal/sqlclass", "internal/wire"},
	"coord":   {"topology"},

	"topology":            {"internal/gtid"},
	"internal/flavor":     {"topology", "internal/gtid"},
	"internal/auth":       {"internal/pause", "internal/wire"},
	"internal/wire":       {},
	"internal/certs":      {},
	"internal/sqlclass":   {},
	"internal/gtid":       {},
	"internal/child":      {},
	"internal/pause":      {},
	"internal/sockopt":    {},
	"internal/proxyproto": {},
	"internal/binlog":     {"internal/gtid"},
	"internal/guard":      {"internal/wire"},
	"internal/tandem":     {},

	// Test only.
	"internal/archtest":  {},
	"internal/mysqltest": {"internal/flavor"},
	"internal/wiretest":  {"internal/wire"},
	"internal/certtest":  {},
	"internal/capture":   {},
	"internal/faultnet":  {},
}

// testOnly are packages that program code must not import; the demo starts real servers and is the exception.
var testOnly = map[string][]string{
	"internal/archtest":  {},
	"internal/mysqltest": {"cmd/onewriter", "internal/demo"},
	"internal/wiretest":  {},
	"internal/certtest":  {},
	"internal/capture":   {},
	"internal/faultnet":  {},
}

// libraries says which packages may import a library whose use is meant to stay in one place. Test files may use all.
var libraries = map[string]struct {
	only   []string
	reason string
}{
	"github.com/spf13/viper":                     {[]string{"conf"}, "the other packages get plain structs"},
	"github.com/spf13/cobra":                     {[]string{"cmd/onewriter"}, "the packages are usable without a command line"},
	"github.com/go-mysql-org/go-mysql/client":    {nil, "it decodes rows and allocates per packet: an oracle for tests only"},
	"github.com/go-mysql-org/go-mysql/server":    {nil, "it cannot offer what servers offer: an oracle for tests only"},
	"github.com/go-mysql-org/go-mysql/packet":    {nil, "it hides the kind of an I/O error and allocates per packet"},
	"github.com/prometheus/client_golang":        {[]string{"admin", "proxy", "health", "cmd/onewriter"}, "decisions are not metrics"},
	"database/sql":                               {[]string{"cmd/onewriter", "failover", "failover/fence", "failover/rejoin", "failover/rewind", "failover/watchdog", "doctor", "health", "internal/binlog", "internal/flavor", "internal/guard", "internal/auth", "internal/demo", "internal/mysqltest"}, "the data path forwards bytes"},
	"github.com/onewriter/onewriter/integration": {nil, "suites are not imported"},
}

// source is one Go file and what it imports.
type source struct {
	file, pkg string
	imports   []string
}

// sources lists the program files of the project; test files, generated caches and the suites are left out.
func sources(t *testing.T) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	var out []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel == "integration" || d.Name() == "testdata" || (strings.HasPrefix(d.Name(), ".") && rel != ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		s := source{file: rel, pkg: filepath.ToSlash(filepath.Dir(rel))}
		for _, i := range f.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, name)
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPackagesImportDownwardOnly(t *testing.T) {
	for _, s := range sources(t) {
		row, ok := allowed[s.pkg]
		if !ok {
			t.Errorf("%s: package %s has no row in the table of layers", s.file, s.pkg)
			continue
		}
		for _, name := range s.imports {
			own, ok := strings.CutPrefix(name, module+"/")
			if !ok || slices.Contains(row, own) || slices.Contains(row, anything) {
				continue
			}
			t.Errorf("%s imports %s, which the row of %s does not allow", s.file, own, s.pkg)
		}
	}
}

func TestTestPackagesStayInTests(t *testing.T) {
	for _, s := range sources(t) {
		for _, name := range s.imports {
			own := strings.TrimPrefix(name, module+"/")
			if users, ok := testOnly[own]; ok && !slices.Contains(users, s.pkg) {
				t.Errorf("%s imports %s, which is for tests", s.file, own)
			}
		}
	}
}

func TestLibrariesStayWhereTheyBelong(t *testing.T) {
	for _, s := range sources(t) {
		for _, name := range s.imports {
			for library, rule := range libraries {
				if (name == library || strings.HasPrefix(name, library+"/")) && !slices.Contains(rule.only, s.pkg) {
					t.Errorf("%s imports %s, which is for %v only: %s", s.file, name, rule.only, rule.reason)
				}
			}
		}
	}
}

// TestTableHasNoCycleAndNoGhost checks the table itself: arrows lead to packages with a row, every row has a package,
// and nobody can be reached from itself.
func TestTableHasNoCycleAndNoGhost(t *testing.T) {
	there := map[string]bool{}
	for _, s := range sources(t) {
		there[s.pkg] = true
	}
	for pkg, row := range allowed {
		if !there[pkg] && testOnly[pkg] == nil {
			t.Errorf("the table has a row for %s, which does not exist", pkg)
		}
		for _, to := range row {
			if _, ok := allowed[to]; !ok && to != anything {
				t.Errorf("the row of %s allows %s, which has no row", pkg, to)
			}
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(allowed)) {
		if reaches(pkg, pkg, map[string]bool{}) {
			t.Errorf("the table lets %s import itself in a circle", pkg)
		}
	}
}

func reaches(from, to string, seen map[string]bool) bool {
	for _, next := range allowed[from] {
		if next == to {
			return true
		}
		if !seen[next] {
			seen[next] = true
			if reaches(next, to, seen) {
				return true
			}
		}
	}
	return false
}
