//go:build !linux

package auth

func lockedPage(n int) []byte { return make([]byte, n) }

// DisableCoreDumps does nothing on this system.
func DisableCoreDumps() error { return nil }
