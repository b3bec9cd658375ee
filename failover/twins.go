package failover

import (
	"context"
	"errors"
	"fmt"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/internal/flavor"
)

// findTwins marks the servers of v that are one and the same under two names: an address was mistyped, or leads elsewhere during
// maintenance. What was not closed as the standby would be the primary.
func (e *executor) findTwins(ctx context.Context, v view) {
	for i := range v {
		for j := range v[:i] {
			a, b := &v[j], &v[i]
			if !a.ok() || !b.ok() || a.Facts.ServerID != b.Facts.ServerID || a.Facts.ServerUUID != b.Facts.ServerUUID {
				continue
			}
			if same, err := e.same(ctx, a.Instance.Name, b.Instance.Name); same || err != nil { // not known: as if it were
				a.Twin, b.Twin = b.Instance.Name, a.Instance.Name
			}
		}
	}
}

// same asks whether two names lead to one server.
func (e *executor) same(ctx context.Context, a, b string) (same bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Limits.Statement)
	defer cancel()
	one, _, err := e.servers[a].conn(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, one.Close()) }()
	other, _, err := e.servers[b].conn(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, other.Close()) }()
	return flavor.SameServer(ctx, one, other)
}

// spare refuses to close what is the primary under another name. A primary that cannot be asked is known by its server_id.
func (e *executor) spare(ctx context.Context, name, primary string) error {
	if primary == "" || primary == name {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Limits.Statement)
	defer cancel()
	conn, d, err := e.servers[name].conn(ctx)
	if err != nil {
		return err
	}
	facts, err := d.Observe(ctx, conn)
	if err = errors.Join(err, conn.Close()); err != nil {
		return fmt.Errorf("observe %s: %w", name, err)
	}
	if id := e.servers[primary].serverID(); id != 0 && facts.ServerID != id {
		return nil
	}
	same, err := e.same(ctx, name, primary)
	if err != nil {
		return fmt.Errorf("find out whether %s is %s under another name: %w", name, primary, err)
	}
	if same {
		return errors.New(twinSentence(name, primary, facts.ServerID))
	}
	return nil
}

func twinSentence(name, other string, id uint32) string {
	return fmt.Sprintf("the addresses of %s and %s lead to the same server (server_id %d): correct the wrong one", name, other, id)
}

// apart takes the servers that are one under two names for servers that cannot be asked, but for the primary when the epoch row does
// not say that its name belongs to another server.
func (v view) apart(known coord.State) view {
	out := append(view(nil), v...)
	for i := range out {
		s := &out[i]
		if s.Twin == "" || !s.ok() {
			continue
		}
		own := s.Row.Epoch == 0 || s.Row.Name == s.Instance.Name && s.Row.ServerID == s.Facts.ServerID
		if s.Instance.Name == known.Primary.Name && own {
			continue
		}
		s.Err = twinSentence(s.Instance.Name, s.Twin, s.Facts.ServerID)
	}
	return out
}

// twins says of each server that was taken apart what is wrong, in sentences.
func (v view) twins() (out []string) {
	for _, s := range v {
		if s.Twin != "" && !s.ok() {
			out = append(out, s.silent(s.Instance.Name))
		}
	}
	return out
}
