package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/topology"
)

// formatVersion is the version of the state file's layout that this build writes and reads.
const formatVersion = 1

// maxStateFile bounds what Load reads and Save writes, in bytes. A state file has a few hundred; each server that is away adds
// several times what gtid_executed takes, which is some 15 KiB where servers were rebuilt under 300 server_uuids.
const maxStateFile = 16 << 20

// File is a state file and the lease of a single decider. It is safe for concurrent use.
type File struct {
	path    string
	cluster string
	holder  string

	mu   sync.Mutex
	last coord.State // the newest state known to be durable; guarded by mu
	have bool
	lock *os.File
}

// Open prepares the state file of cluster at path; its directory is created with mode 0700 when missing. It takes
// an exclusive advisory lock on path + ".lock" until Close and fails when another process holds it: two deciders
// over one state file would be two writers. holder names this process in the journal.
func Open(path, cluster, holder string) (*File, error) {
	if path == "" || cluster == "" {
		return nil, errors.New("state file: path and cluster must be set")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("create the directory of the state file: %w", err)
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	return &File{path: path, cluster: cluster, holder: holder, lock: lock}, nil
}

// Close releases the lock. The state stays.
func (f *File) Close() error {
	if err := f.lock.Close(); err != nil {
		return fmt.Errorf("release the state file's lock: %w", err)
	}
	return nil
}

// Path is where the state is kept.
func (f *File) Path() string { return f.path }

// Holder implements coord.Lease.
func (f *File) Holder() string { return f.holder }

// Valid implements coord.Lease: a single decider always may.
func (f *File) Valid(time.Time) bool { return true }

// ValidUntil implements coord.Lease: without end.
func (f *File) ValidUntil() time.Time { return time.Time{} }

// document is the state file's content.
type document struct {
	Version int       `json:"version"`
	Cluster string    `json:"cluster"`
	Epoch   uint64    `json:"epoch"`
	Primary string    `json:"primary"`
	Address string    `json:"address"`
	Phase   string    `json:"phase"`
	Target  string    `json:"target,omitempty"`
	SavedAt time.Time `json:"saved_at"`

	Away      []coord.Departure `json:"away,omitempty"`
	Failovers []time.Time       `json:"failovers,omitempty"`
	SemiSync  bool              `json:"semi_sync,omitempty"`
}

// Load implements coord.Store. A file that is damaged, too new or of another cluster is an error and never "none":
// taking it for a fresh start could open the wrong server.
func (f *File) Load(context.Context) (coord.State, bool, error) {
	raw, err := readBounded(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return coord.State{}, false, nil
	}
	if err != nil {
		return coord.State{}, false, fmt.Errorf("read the state file: %w", err)
	}
	state, err := f.decode(raw)
	if err != nil {
		return coord.State{}, false, fmt.Errorf("state file %s: %w; see that exactly one server is writable, the one with the newest data, then move the file away", f.path, err)
	}
	f.mu.Lock()
	f.last, f.have = state, true
	f.mu.Unlock()
	return state, true, nil
}

func (f *File) decode(raw []byte) (coord.State, error) {
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		return coord.State{}, fmt.Errorf("damaged: %w", err)
	}
	if d.Version != formatVersion {
		return coord.State{}, fmt.Errorf("has version %d, this build knows version %d", d.Version, formatVersion)
	}
	if d.Cluster != f.cluster {
		return coord.State{}, fmt.Errorf("belongs to cluster %q, not to %q", d.Cluster, f.cluster)
	}
	phase, ok := coord.ParsePhase(d.Phase)
	if !ok {
		return coord.State{}, fmt.Errorf("has unknown phase %q", d.Phase)
	}
	if d.Primary == "" || d.Epoch == 0 {
		return coord.State{}, errors.New("names no primary or no epoch")
	}
	return coord.State{
		Cluster: d.Cluster, Epoch: topology.Epoch(d.Epoch),
		Primary: topology.Instance{Name: d.Primary, Address: d.Address},
		Phase:   phase, Target: d.Target, SavedAt: d.SavedAt, Away: d.Away, Failovers: d.Failovers, SemiSync: d.SemiSync,
	}, nil
}

// Save implements coord.Store: write a temporary file, fsync it, rename it over the old one, fsync the directory.
// Saving what is already stored costs nothing.
func (f *File) Save(_ context.Context, state coord.State) error {
	if state.Cluster != f.cluster || !state.Primary.Known() || state.Epoch == 0 {
		return errors.New("state file: a state needs this cluster's name, a primary and an epoch")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.have && state.Epoch < f.last.Epoch {
		return fmt.Errorf("state file holds epoch %d, an older epoch %d is refused", f.last.Epoch, state.Epoch)
	}
	if f.have && f.last.Same(state) {
		return nil
	}
	raw, err := json.MarshalIndent(document{
		Version: formatVersion, Cluster: state.Cluster, Epoch: uint64(state.Epoch), Primary: state.Primary.Name,
		Address: state.Primary.Address, Phase: state.Phase.String(), Target: state.Target, SavedAt: state.SavedAt,
		Away: state.Away, Failovers: state.Failovers, SemiSync: state.SemiSync,
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the state: %w", err)
	}
	if raw = append(raw, '\n'); len(raw) > maxStateFile { // it could not be read again
		return fmt.Errorf("the state would take %d bytes and %d are the limit: see `onewriter status` for the servers that are away, and bring them back", len(raw), maxStateFile)
	}
	if err := replaceFile(f.path, raw); err != nil {
		return fmt.Errorf("write the state file: %w", err)
	}
	f.last, f.have = state, true
	return nil
}
