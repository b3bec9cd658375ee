// Package router is the pure choice of a target: given who is primary, what the standbys look like and what a
// listener is for, it says which server a session belongs on. It does no I/O and knows no sessions.
package router
