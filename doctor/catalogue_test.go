package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// table writes the catalogue as docs/doctor.md has it.
func table() string {
	var b strings.Builder
	b.WriteString("| code | severity | blocks | meaning |\n|---|---|---|---|\n")
	for _, k := range Catalogue() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.Code, k.Severity, k.Blocks, k.Meaning)
	}
	return b.String()
}

func TestDocumentationHasTheCatalogue(t *testing.T) {
	text, err := os.ReadFile("../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), table()) {
		t.Errorf("docs/doctor.md does not have the table of the catalogue, which is:\n%s", table())
	}
}

// TestCatalogueAndChecksAgree: every code has a check, exactly one, and every check has codes that are listed.
func TestCatalogueAndChecksAgree(t *testing.T) {
	var codes []string
	for _, c := range checks {
		if (c.each == nil) == (c.all == nil) || len(c.codes) == 0 {
			t.Errorf("%v is no whole check", c.codes)
		}
		codes = append(codes, c.codes...)
	}
	var listed []string
	for _, k := range kinds {
		listed = append(listed, k.Code)
		if k.Meaning == "" || k.Blocks != BlocksNever && k.Severity != Critical {
			t.Errorf("%s: %+v", k.Code, k)
		}
	}
	slices.Sort(codes)
	slices.Sort(listed)
	if !slices.Equal(codes, listed) {
		t.Errorf("checks find\n%v\nthe catalogue lists\n%v", codes, listed)
	}
}

// TestEveryCodeIsTested: the tests on real servers name every code.
func TestEveryCodeIsTested(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for _, k := range kinds {
		if !strings.Contains(all.String(), k.Code) {
			t.Errorf("no test names %s", k.Code)
		}
	}
}

func TestSeverityText(t *testing.T) {
	for _, s := range []Severity{Info, Warning, Critical} {
		text, err := s.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back Severity
		if err := back.UnmarshalText(text); err != nil || back != s {
			t.Errorf("%s became %s: %v", s, back, err)
		}
	}
	if err := new(Severity).UnmarshalText([]byte("awful")); err == nil {
		t.Error("an unknown severity is accepted")
	}
}
