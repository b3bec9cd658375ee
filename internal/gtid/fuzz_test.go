package gtid

import (
	"errors"
	"testing"
)

// FuzzParse feeds all parsers: they must not crash, what they accept must survive printing and reading, and must be
// equal to itself.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "0-10-5, 1-10-7", uuidA + ":1-3:tag:1-5,\n" + uuidB + ":7", "binlog.000001:154", ":::", uuidA + ":1-9223372036854775807",
		"0-1-18446744073709551615", uuidA + ":a:1:A:2",
	} {
		f.Add(s)
	}
	parsers := map[string]func(string) (Position, error){
		"mysql": ParseMySQL, "mariadb": ParseMariaDB, "file": ParseFile, "any": Parse,
	}
	f.Fuzz(func(t *testing.T, in string) {
		for name, parse := range parsers {
			p, err := parse(in)
			if err != nil {
				if !errors.Is(err, ErrSyntax) {
					t.Errorf("%s: error %v is not ErrSyntax", name, err)
				}
				continue
			}
			again, err := parse(p.String())
			if err != nil || p.Known() && !again.Equal(p) {
				t.Errorf("%s: %q printed as %q, read again as %q, %v", name, in, p, again, err)
			}
			if p.Known() && (Relate(p, again) != Equal || !p.Contains(again)) {
				t.Errorf("%s: %q is not equal to itself", name, in)
			}
			if n, ok := Missing(p, again); p.Known() && (n != 0 || !ok) {
				t.Errorf("%s: %q misses %d of itself", name, in, n)
			}
		}
	})
}
