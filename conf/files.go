package conf

import (
	"os"
	"path/filepath"
	"strings"
)

// The places for state when the configuration names none.
const (
	systemStateDir = "/var/lib/onewriter"
	localStateDir  = "onewriter-state"
)

// secret fills in value from the file when one is named; path is the key of the value, the file's key is path_file.
func (v *validator) secret(path string, value *Secret, file *string, needed bool) {
	if *value != "" && *file != "" {
		v.fail(path+"_file", "remove one of the two", "is set although %s is set as well", path)
		return
	}
	if *file == "" {
		if *value == "" && needed {
			v.fail(path, "set it, or name a file in "+lastKey(path)+"_file", "is missing")
		}
		return
	}
	v.file(path+"_file", file)
	data, err := readFile(*file)
	if err != nil {
		return // v.file has said so
	}
	*value = Secret(strings.TrimRight(string(data), "\r\n"))
	if *value == "" {
		v.fail(path+"_file", "write the secret into it", "%s is empty", *file)
	}
	if info, err := os.Stat(*file); err == nil && info.Mode().Perm()&0o004 != 0 {
		v.warn(path+"_file", "chmod 600 "+*file, "%s can be read by every user of this machine", *file)
	}
}

// file makes a file name absolute and checks that the file can be read.
func (v *validator) file(path string, name *string) {
	if *name == "" {
		return
	}
	if !filepath.IsAbs(*name) && v.dir != "" {
		*name = filepath.Join(v.dir, *name)
	}
	if _, err := readFile(*name); err != nil {
		v.fail(path, "name a file this process can read", "%v", err)
	}
}

func (v *validator) stateDir() {
	switch dir := v.cfg.StateDir; {
	case dir == "":
		v.cfg.StateDir = defaultStateDir()
	case !filepath.IsAbs(dir) && v.dir != "":
		v.cfg.StateDir = filepath.Join(v.dir, dir)
	}
	if info, err := os.Stat(v.cfg.StateDir); err == nil && !info.IsDir() {
		v.fail("state_dir", "name a directory", "%s is not a directory", v.cfg.StateDir)
	}
}

// defaultStateDir takes the system's directory where the package or the service manager made one for us.
func defaultStateDir() string {
	if writable(systemStateDir) {
		return systemStateDir
	}
	if abs, err := filepath.Abs(localStateDir); err == nil {
		return abs
	}
	return localStateDir
}

func writable(dir string) bool {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return false
	}
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return false
	}
	name := f.Name()
	return f.Close() == nil && os.Remove(name) == nil
}

func lastKey(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
