package rewind

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// keep writes the file that keeps what is going to be undone into the directory dir, which is made if it is missing,
// and gives its path when the file is durable.
func (p Plan) keep(dir string, now time.Time) (path string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("keep the rows of %s: %w", p.Server, err)
	}
	name := fmt.Sprintf("rewind-%s-%s.sql", safe(p.Server), now.UTC().Format("20060102T150405.000000Z"))
	path = filepath.Join(dir, name)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("keep the rows of %s: %w", p.Server, err)
	}
	w := bufio.NewWriter(f)
	err = p.write(w, now)
	err = errors.Join(err, w.Flush(), f.Sync(), f.Close())
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return "", fmt.Errorf("keep the rows of %s in %s: %w", p.Server, path, err)
	}
	return path, nil
}

// write writes the file: the changes as they were made, oldest first, as comments where they would be executed by
// mistake.
func (p Plan) write(w io.Writer, now time.Time) error {
	_, err := fmt.Fprintf(w, `-- Transactions that only %s had and that were undone there at %s.
-- They are listed as they were made, oldest first. Nothing of this is on the primary. To take something over, look at
-- each statement first: the rows may have been changed on the primary meanwhile.
-- %d transactions, %d rows, in %s.
SET NAMES utf8mb4;
SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES';
`, p.Server, now.UTC().Format(time.RFC3339), len(p.Transactions), p.Rows, strings.Join(p.lost(), ", "))
	next := 0
	for i, t := range p.tail {
		if t.replicated {
			for next < len(p.steps) && p.steps[next].transaction == i {
				next++
			}
			continue
		}
		if err == nil {
			_, err = fmt.Fprintf(w, "\n-- %s, at %s, written by server_id %d, %s\nBEGIN;\n", orDash(t.GTID), t.Place, t.Server, t.At.Format(time.RFC3339))
		}
		for ; next < len(p.steps) && p.steps[next].transaction == i && err == nil; next++ {
			_, err = fmt.Fprintf(w, "%s;\n", p.steps[next].redo)
		}
		if err == nil {
			_, err = fmt.Fprintln(w, "COMMIT;")
		}
	}
	return err
}

// lost names the tables that the errant transactions changed.
func (p Plan) lost() []string {
	seen := map[string]bool{}
	for _, t := range p.Transactions {
		for _, c := range t.Changes {
			seen[c.Schema+"."+c.Table] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// safe keeps of a name what is harmless in that of a file.
func safe(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
