package mysqltest

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

const (
	dirPrefix = "onewriter-" // the flavour follows
	ownerLock = "owner"      // the file that the owner of a directory keeps locked
)

// makeDir makes the directory of one server and the lock that tells that its owner lives.
func makeDir(f Flavor) (string, *os.File, error) {
	sweep(f, time.Now().Add(-time.Minute))
	dir, err := os.MkdirTemp("", dirPrefix+f.String()+"-")
	if err != nil {
		return "", nil, err
	}
	lock, err := lockFile(filepath.Join(dir, ownerLock))
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, lock, nil
}

// sweep removes directories whose owners were killed before they could. Those locked after before are left alone:
// their owner may be between creating and locking the file.
func sweep(f Flavor, before time.Time) {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+f.String()+"-*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, ownerLock)
		st, err := os.Stat(path)
		if err != nil || st.ModTime().After(before) {
			continue
		}
		lock, err := lockFile(path)
		if err != nil {
			continue
		}
		_ = unmount(filepath.Join(dir, diskDir)) // fails where nothing is mounted
		_ = os.RemoveAll(dir)
		_ = lock.Close()
	}
}
