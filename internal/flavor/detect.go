package flavor

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Detect finds out what server is behind q and gives the dialect for it. It takes two or three statements. The error
// wraps ErrUnknownServer or is the server's.
func Detect(ctx context.Context, q Querier) (Dialect, error) {
	var version, comment string
	if err := q.QueryRowContext(ctx, "SELECT @@version, @@version_comment").Scan(&version, &comment); err != nil {
		return nil, fmt.Errorf("read the version: %w", err)
	}
	number, ok := parseVersion(version)
	if !ok {
		return nil, fmt.Errorf("%w: version %q (%s)", ErrUnknownServer, version, comment)
	}
	base := common{version: version}
	if strings.Contains(strings.ToLower(version+comment), "mariadb") {
		return newMariaDB(ctx, q, base)
	}
	return newMySQL(ctx, q, base, number)
}

// release is a server version that can be compared.
type release struct{ major, minor, patch int }

func (r release) atLeast(major, minor, patch int) bool {
	switch {
	case r.major != major:
		return r.major > major
	case r.minor != minor:
		return r.minor > minor
	default:
		return r.patch >= patch
	}
}

// parseVersion reads 8.0.36-28 or 5.5.5-10.11.19-MariaDB-log; MariaDB's 5.5.5- is what its greeting starts with.
func parseVersion(s string) (release, bool) {
	s = strings.TrimPrefix(s, "5.5.5-")
	fields := strings.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if len(fields) < 2 || s[0] < '0' || s[0] > '9' {
		return release{}, false
	}
	var n [3]int
	for i := range min(3, len(fields)) {
		v, err := strconv.Atoi(fields[i])
		if err != nil {
			return release{}, false
		}
		n[i] = v
	}
	return release{n[0], n[1], n[2]}, true
}

// variables gives those of the named global variables that exist, with their values.
func variables(ctx context.Context, q Querier, condition string) (map[string]string, error) {
	rs, err := records(ctx, q, "SHOW GLOBAL VARIABLES WHERE "+condition)
	if err != nil {
		return nil, err
	}
	m := make(map[string]string, len(rs))
	for _, r := range rs {
		m[strings.ToLower(r.str("variable_name"))] = r.str("value")
	}
	return m, nil
}
