package mysqltest

import (
	"context"
	"maps"
)

// RestartWith starts a server again that has ended, with its options and those of extra, which stay from now on.
func (s *Server) RestartWith(ctx context.Context, extra map[string]string) error {
	config := maps.Clone(s.opts.Config)
	if config == nil {
		config = map[string]string{}
	}
	maps.Copy(config, extra)
	return s.Restart(ctx, config)
}
