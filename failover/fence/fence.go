package fence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
)

// Errors that tell how certain the outcome is.
var (
	// ErrNotClosed means that the server is certainly still open: the fence had no effect and will have none.
	ErrNotClosed = errors.New("the server is still open for writes")
	// ErrNotOpened means that the server is certainly still closed.
	ErrNotOpened = errors.New("the server is still closed for writes")
	// ErrUncertain means that it could not be found out in time whether the server is open or closed.
	ErrUncertain = errors.New("it is not certain whether the server is open for writes")
	// ErrNoProof means that a server was to be opened without an unused proof that the other one is closed.
	ErrNoProof = errors.New("no proof that the other server is closed")
)

// Server is one server to close or to open.
type Server struct {
	Name    string
	DB      *sql.DB
	Dialect flavor.Dialect
	// ControlUser is our own account, whose sessions are not killed.
	ControlUser string
}

// Limits bounds closing and opening. All are required.
type Limits struct {
	Grace  time.Duration // how long the fence may be pending before blocking sessions are killed
	Kill   time.Duration // interval of the rounds of killing
	Budget time.Duration // all of Close, apart from Settle
	Settle time.Duration // to make the outcome of a failed statement certain
}

// Killed names a session that was ended because it kept the fence waiting or could have passed it.
type Killed struct {
	ID   uint64
	User string
	Host string
	Why  string
}

// Report says what Close saw and did.
type Report struct {
	Fencer  uint64 // connection id of the statement
	Tries   int    // how often the statement was issued
	Killed  []Killed
	Refused []Killed // sessions that should have been ended and could not be; Why is the server's error
	Settled bool     // the statement failed and its outcome was made certain afterwards
}

// Proof says that one server, or all others of a cluster, were closed, or by what other means they are kept from
// acknowledging writes. Only this package can make one that counts.
// It may open one server once.
type Proof struct {
	mu    sync.Mutex
	of    string
	kind  Kind
	lines []string // what the proof rests on
	valid bool
	spent bool
	// opener is the connection whose statement to open the other server may still arrive there; 0 when there is none.
	// Only who has spent the proof touches it.
	opener uint64
}

// Of names what is closed.
func (p *Proof) Of() string { return p.of }

// Kind is what was achieved.
func (p *Proof) Kind() Kind { return p.kind }

// Evidence is what the proof rests on, in sentences.
func (p *Proof) Evidence() []string { return p.lines }

// spend takes the right to open a server; false means that there is none or that it was used.
func (p *Proof) spend() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.valid || p.spent {
		return false
	}
	p.spent = true
	return true
}

// giveBack returns the right after it has become certain that nothing was opened with it.
func (p *Proof) giveBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spent = false
}

// ProveClosed reads the flags of all servers given and proves that they are closed; an empty list proves that there
// is nobody else.
func ProveClosed(ctx context.Context, servers ...Server) (*Proof, error) {
	of := "nobody else"
	for i, s := range servers {
		flags, err := readFlags(ctx, s.DB, s.Dialect)
		if err != nil {
			return nil, fmt.Errorf("read the flags of %s: %w", s.Name, err)
		}
		if flags != closed {
			return nil, fmt.Errorf("%s: %w", s.Name, ErrNotClosed)
		}
		if i == 0 {
			of = s.Name
		} else {
			of += ", " + s.Name
		}
	}
	return &Proof{of: of, kind: Proved, valid: true}, nil
}

// openness is what the flags of a server say.
type openness uint8

const (
	half   openness = iota // one of two flags only
	closed                 // no ordinary account, and with super_read_only no account at all, can write
	open                   // everybody with the rights can write
)

// readFlags reads the flags; where there are two, closed needs both of them.
func readFlags(ctx context.Context, q flavor.Querier, d flavor.Dialect) (openness, error) {
	readOnly, super, err := d.ReadOnly(ctx, q)
	switch {
	case err != nil:
		return half, err
	case !readOnly && !super:
		return open, nil
	case readOnly && (super || !flavor.HasSuperReadOnly(d)):
		return closed, nil
	default:
		return half, nil
	}
}
