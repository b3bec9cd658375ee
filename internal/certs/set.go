package certs

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// period is how often the files are looked at. They are small: their content is compared, not their times, so that
// nothing depends on how somebody replaces them.
const period = 10 * time.Second

// maxFile bounds what is read of one file, in bytes.
const maxFile = 4 << 20

// Set is all that one process has from files. It is safe for concurrent use.
type Set struct {
	log   zerolog.Logger
	again chan struct{}

	mu    sync.Mutex
	items []*item // guarded by mu, with what they hold
}

// item is one thing that is made of one or two files.
type item struct {
	files []string
	use   func(contents [][]byte) (expires time.Time, err error)
	seen  [sha256.Size]byte // of the contents, or of the error that reading them gave
	state Status
}

// Status says how one thing is doing.
type Status struct {
	// Name is the file, or the files with a plus sign between them.
	Name string
	// Expires is when what is in force expires; of several authorities the first.
	Expires time.Time
	// Err is why the files as they are now can't be used; nil when they are in force.
	Err error
}

// NewSet makes an empty set. It starts nothing.
func NewSet(log zerolog.Logger) *Set { return &Set{log: log, again: make(chan struct{}, 1)} }

// add reads the files for the first time: then an error is the caller's.
func (s *Set) add(use func(contents [][]byte) (time.Time, error), files ...string) error {
	i := &item{files: files, use: use, state: Status{Name: strings.Join(files, "+")}}
	contents, print, err := i.read()
	if err != nil {
		return err
	}
	if i.state.Expires, err = use(contents); err != nil {
		return err
	}
	i.seen = print
	if time.Now().After(i.state.Expires) {
		s.log.Warn().Str("file", i.state.Name).Time("expires", i.state.Expires).Msg("certificate has expired")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = append(s.items, i)
	return nil
}

// Run looks at the files every 10 seconds and after Reload, until ctx is done.
func (s *Set) Run(ctx context.Context) error {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-s.again:
		}
		s.look()
	}
}

// Reload makes Run look at the files now. It does not wait for that.
func (s *Set) Reload() {
	select {
	case s.again <- struct{}{}:
	default:
	}
}

// Status tells about everything in the set, in the order in which it was added.
func (s *Set) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Status, len(s.items))
	for n, i := range s.items {
		out[n] = i.state
	}
	return out
}

// look puts into force what has changed.
func (s *Set) look() {
	for n := range s.Status() { // items are only ever added
		s.mu.Lock()
		i := s.items[n]
		changed, state := i.look()
		s.mu.Unlock()
		switch {
		case !changed:
		case state.Err != nil:
			s.log.Error().Err(state.Err).Str("file", state.Name).Time("expires", state.Expires).Msg("changed certificate is not usable, the old one stays in force")
		default:
			s.log.Info().Str("file", state.Name).Time("expires", state.Expires).Msg("changed certificate is in force")
		}
	}
}

// look takes what the files have now, and reports whether that is something else than before. The caller holds mu.
func (i *item) look() (changed bool, state Status) {
	contents, print, err := i.read()
	if print == i.seen {
		return false, i.state
	}
	i.seen = print
	if err == nil {
		var expires time.Time
		if expires, err = i.use(contents); err == nil {
			i.state.Expires = expires
		}
	}
	i.state.Err = err
	return true, i.state
}

// read gives the contents with a fingerprint of them, or of the error.
func (i *item) read() (contents [][]byte, print [sha256.Size]byte, err error) {
	h := sha256.New()
	for _, file := range i.files {
		text, err := readFile(file)
		if err != nil {
			return nil, sha256.Sum256([]byte(err.Error())), err
		}
		sum := sha256.Sum256(text)
		h.Write(sum[:])
		contents = append(contents, text)
	}
	h.Sum(print[:0])
	return contents, print, nil
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, &os.PathError{Op: "read", Path: name, Err: errors.New("this is no certificate or key")}
	}
	return os.ReadFile(name)
}
