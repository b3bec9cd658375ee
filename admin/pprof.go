package admin

import "net/http/pprof"

// profiling are the routes of net/http/pprof. A profile lasts as long as its request says, hence streaming.
func profiling() []route {
	return []route{
		{"GET", "/debug/pprof/", streaming, pprof.Index}, // and all profiles by name: heap, goroutine, ...
		{"GET", "/debug/pprof/cmdline", streaming, pprof.Cmdline},
		{"GET", "/debug/pprof/profile", streaming, pprof.Profile},
		{"GET", "/debug/pprof/symbol", streaming, pprof.Symbol},
		{"GET", "/debug/pprof/trace", streaming, pprof.Trace},
	}
}
