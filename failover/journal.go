package failover

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// Event is one line of the journal. It is immutable once appended.
type Event struct {
	Seq       uint64            `json:"seq"` // grows by one, across restarts when the journal is on disk
	At        time.Time         `json:"at"`
	Cluster   string            `json:"cluster"`
	Operation string            `json:"operation,omitempty"` // id of the operation it belongs to
	Kind      string            `json:"kind"`                // "state", "verdict", "gate", "begin", "step", "end", "refused", "followed", "warning"
	Step      string            `json:"step,omitempty"`
	State     string            `json:"state,omitempty"`
	Epoch     topology.Epoch    `json:"epoch,omitempty"`
	Primary   string            `json:"primary,omitempty"`
	Outcome   string            `json:"outcome,omitempty"` // "ok", "failed", "unknown"
	MS        float64           `json:"ms,omitempty"`
	Reasons   []string          `json:"reasons,omitempty"`
	Evidence  map[string]string `json:"evidence,omitempty"`
}

// JournalConfig says where a Journal keeps its lines.
type JournalConfig struct {
	// Path is the file of JSON lines; "" keeps the journal in memory only.
	Path string
	// MaxBytes is the size at which the file is rotated to Path.1 and so on. Default 16 MiB, at least 4 KiB.
	MaxBytes int64
	// Keep is how many rotated files are kept. Default 3.
	Keep int
	// Ring is how many events of each cluster are kept in memory. Default 1000.
	Ring int
}

// Journal keeps events in memory, a ring for each cluster, and as JSON lines on disk. It is safe for concurrent use. A
// disk that fails does not stop it: Append reports the error once per event and the rings go on.
type Journal struct {
	cfg    JournalConfig
	unread error // what load could not read; immutable after NewJournal

	mu    sync.Mutex // guards the block below
	rings map[string]*ring
	next  uint64
	subs  map[chan Event]struct{}

	fileMu sync.Mutex // serialises writes to the file, so that lines stay whole and in order
	file   *os.File   // nil while it could not be opened
	closed bool
	size   int64
}

// NewJournal opens the journal's file for appending and creates its directory when missing. What the file and its
// predecessors hold is known again; lines that cannot be read, as a crash leaves one, are passed over.
func NewJournal(cfg JournalConfig) (*Journal, error) {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 16 << 20
	}
	if cfg.Keep == 0 {
		cfg.Keep = 3
	}
	if cfg.Ring == 0 {
		cfg.Ring = 1000
	}
	if cfg.MaxBytes < 4<<10 || cfg.Keep < 0 || cfg.Ring < 1 {
		return nil, errors.New("journal: max size below 4 KiB, negative number of files or empty ring")
	}
	j := &Journal{cfg: cfg, rings: map[string]*ring{}, subs: map[chan Event]struct{}{}}
	if cfg.Path == "" {
		return j, nil
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		return nil, fmt.Errorf("create the journal's directory: %w", err)
	}
	j.load()
	if err := j.open(); err != nil {
		return nil, err
	}
	return j, nil
}

// Append numbers e, keeps it, hands it to the subscribers and writes it to disk. The returned error is about the
// disk only.
func (j *Journal) Append(e Event) (Event, error) {
	j.fileMu.Lock()
	defer j.fileMu.Unlock()
	e = j.keep(e)
	if err := j.write(e); err != nil {
		return e, fmt.Errorf("write the journal: %w", err)
	}
	return e, nil
}

func (j *Journal) keep(e Event) Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.next++
	e.Seq = j.next
	j.ring(e.Cluster).add(e)
	for ch := range j.subs {
		select {
		case ch <- e:
		default: // a subscriber that does not read misses events; the gap shows in Seq
		}
	}
	return e
}

// Events returns the events in memory with Seq > after, oldest first.
func (j *Journal) Events(after uint64) []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []Event
	for _, r := range j.rings {
		out = r.after(out, after)
	}
	slices.SortFunc(out, func(a, b Event) int { return cmp.Compare(a.Seq, b.Seq) })
	return out
}

// Subscribe delivers every event appended from now on until cancel is called. A reader that is more than 256
// events late misses some, which shows in Seq and can be filled in with Events.
func (j *Journal) Subscribe() (events <-chan Event, cancel func()) {
	ch := make(chan Event, 256)
	j.mu.Lock()
	j.subs[ch] = struct{}{}
	j.mu.Unlock()
	return ch, sync.OnceFunc(func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		delete(j.subs, ch)
		close(ch)
	})
}

// Close closes the file. Events appended later stay in memory only.
func (j *Journal) Close() error {
	j.fileMu.Lock()
	defer j.fileMu.Unlock()
	j.closed = true
	if j.file == nil {
		return nil
	}
	file := j.file
	j.file = nil
	if err := file.Close(); err != nil {
		return fmt.Errorf("close the journal: %w", err)
	}
	return nil
}

func (j *Journal) open() error {
	file, err := os.OpenFile(j.cfg.Path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the journal: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("open the journal: %w", err), file.Close())
	}
	j.file, j.size = file, info.Size()
	return j.finishLine()
}

func (j *Journal) write(e Event) error {
	if j.cfg.Path == "" || j.closed {
		return nil
	}
	if j.file == nil { // a rotation has failed
		if err := j.open(); err != nil {
			return err
		}
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	var rotated error
	if j.size > 0 && j.size+int64(len(line)) > j.cfg.MaxBytes {
		if rotated = j.rotate(); j.file == nil {
			return rotated
		}
	}
	n, err := j.file.Write(line)
	j.size += int64(n)
	return errors.Join(rotated, err)
}

func (j *Journal) rotate() error {
	err := j.file.Close()
	j.file = nil
	for i := j.cfg.Keep; i > 0; i-- {
		if renameErr := os.Rename(j.name(i-1), j.name(i)); renameErr != nil && !os.IsNotExist(renameErr) {
			err = errors.Join(err, renameErr)
		}
	}
	if j.cfg.Keep == 0 {
		err = errors.Join(err, os.Remove(j.cfg.Path))
	}
	return errors.Join(err, j.open())
}
