package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// disk is the file system of a data directory, in bytes.
type disk struct {
	path        string
	total, free uint64
}

// diskFree looks at the disk of the data directory: MariaDB tells with the plugin DISKS; of a server on this machine we
// can see it ourselves.
func diskFree(ctx context.Context, x *examination, s *server) error {
	d, err := s.disk(ctx)
	if err != nil {
		return err
	}
	if d.total > 0 && float64(d.free) < x.d.limits.diskFree*float64(d.total) {
		x.find("DISK_LOW", s.name(), "The disk of its data directory is nearly full. When it is, writes hang or fail, and the server crashes; on a standby replication stops.",
			[]string{fmt.Sprintf("%s: %d MB of %d MB free", d.path, d.free>>20, d.total>>20)},
			"SHOW BINARY LOGS", "PURGE BINARY LOGS TO '<what every replica has applied>' (see BINLOG_NEVER_PURGED)")
	}
	return nil
}

func (s *server) disk(ctx context.Context) (disk, error) {
	dir := s.v("datadir")
	if s.mariadb() {
		d, err := s.diskOfPlugin(ctx, dir)
		if err != nil || d.total > 0 {
			return d, err
		}
	}
	if s.here() {
		return statDisk(dir)
	}
	if s.mariadb() {
		return disk{}, errors.New("it does not tell (INSTALL SONAME 'disks', and GRANT FILE ON *.* to the control account)")
	}
	return disk{}, errors.New("MySQL does not tell, and it is not on this machine")
}

// here reports whether the server runs on this machine.
func (s *server) here() bool {
	host, err := os.Hostname()
	if err != nil || host != s.v("hostname") {
		return false
	}
	_, err = os.Stat(filepath.Join(s.v("datadir"), "ibdata1"))
	return err == nil
}

const errUnknownTable = 1109 // ER_UNKNOWN_TABLE

// diskOfPlugin gives the mounted file system that dir is in; zero when the plugin is not there or shows nothing.
func (s *server) diskOfPlugin(ctx context.Context, dir string) (disk, error) {
	rs, err := s.rows(ctx, "SELECT path AS path, total AS total, available AS available FROM information_schema.disks")
	if number(err) == errUnknownTable {
		return disk{}, nil
	}
	if err != nil {
		return disk{}, fmt.Errorf("read the disks: %w", err)
	}
	var best disk
	for _, r := range rs {
		path := strings.TrimSuffix(r["path"], "/") + "/"
		total, err1 := strconv.ParseUint(r["total"], 10, 64)
		free, err2 := strconv.ParseUint(r["available"], 10, 64)
		if err1 == nil && err2 == nil && strings.HasPrefix(dir, path) && len(path) >= len(best.path) {
			best = disk{path, total << 10, free << 10}
		}
	}
	return best, nil
}
