package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
)

// guard lets a request pass that proves the token or, where there is none, comes from this machine and means it: the
// Host must be a loopback name, so that a page whose name was made to point here cannot use a visitor's browser.
func (s *Server) guard(next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(s.cfg.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.cfg.Token == "" {
			if !loopback(hostOf(r.RemoteAddr)) || !loopback(hostOf(r.Host)) {
				problem(w, http.StatusForbidden, "without a token (admin.token_file) only requests to a loopback name from this machine are served")
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(strings.TrimSpace(token)))
		if !strings.EqualFold(scheme, "bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="onewriter"`)
			problem(w, http.StatusUnauthorized, "the request needs the admin token as `Authorization: Bearer ...`")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return hostport
	}
	return host
}
