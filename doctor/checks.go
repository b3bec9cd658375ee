package doctor

import "context"

// check is one thing that is looked at. It has one of each and all; an error means that it could not be made.
type check struct {
	codes []string // of its findings
	deep  bool     // it looks through all tables: made less often by Run
	each  func(ctx context.Context, x *examination, s *server) error
	all   func(ctx context.Context, x *examination) error
}

// checks are made in this order.
var checks []check
