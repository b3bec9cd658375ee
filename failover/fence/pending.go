package fence

import (
	"context"
	"errors"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
)

// errNotYet is the answer of the means that are not there yet: the next one is tried.
var errNotYet = errors.New("this means of fencing is not there yet")

// Kind is what was achieved.
func (p *Proof) Kind() Kind         { return NotFenced }
func (p *Proof) Evidence() []string { return nil }
func ProveDead(ctx context.Context, address string, sourceID uint32, witnesses []Server) (*Proof, error) {
	return nil, errNotYet
}
func ProveSilenced(ctx context.Context, candidate Server, channel string, was flavor.SemiSync) (*Proof, error) {
	return nil, errNotYet
}
func RunCommand(ctx context.Context, c Command, env map[string]string, of string) (*Proof, error) {
	return nil, errNotYet
}
func Outlived(of string, renewed time.Time, after time.Duration, now time.Time) (*Proof, error) {
	return nil, errNotYet
}
func Unfenced(of, why string) *Proof { return &Proof{of: of, valid: true} }
